// Times one model with ONNX Runtime.
//
//	node ort_bench.mjs FOLDER MODEL.onnx INPUT.npy THREADS RUNS
//
// FOLDER holds node_modules/onnxruntime-node.  Prints one line of JSON: min_ms, median_ms, p90_ms, load_ms.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const WARM_UP = 3;

function readNpy(file) {
	const bytes = fs.readFileSync(file);
	const start = 10 + bytes.readUInt16LE(8); // version 1 of the format: 16 bit header length
	const header = bytes.toString('latin1', 10, start);
	const type = /'descr': *'([^']*)'/.exec(header)[1];
	const dims = /'shape': *\(([^)]*)\)/.exec(header)[1].split(',').filter(s => s.trim()).map(Number);
	const data = new Uint8Array(bytes.subarray(start)).buffer; // a copy, so that it is aligned
	if (type === '<f4')
		return ['float32', new Float32Array(data), dims];
	if (type === '<i8')
		return ['int64', new BigInt64Array(data), dims];
	throw new Error(`${file}: type ${type} is not supported`);
}

const [folder, model, input, threads, runs] = process.argv.slice(2);
const ort = createRequire(path.resolve(folder) + '/')('onnxruntime-node');
const begin = performance.now();
const session = await ort.InferenceSession.create(model, {
	intraOpNumThreads: Number(threads),
	interOpNumThreads: 1,
	executionMode: 'sequential',
	graphOptimizationLevel: 'all',
});
const load = performance.now() - begin;
const feeds = { [session.inputNames[0]]: new ort.Tensor(...readNpy(input)) };
const times = [];
for (let i = -WARM_UP; i < Number(runs); i++) {
	const start = performance.now();
	await session.run(feeds);
	if (i >= 0)
		times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const at = share => times[Math.min(times.length - 1, Math.floor(share * times.length))];
console.log(JSON.stringify({ min_ms: times[0], median_ms: at(0.5), p90_ms: at(0.9), load_ms: load }));
