// Runs one model with ONNX Runtime and compares its first output with a recorded one.
//
//	node ort_compare.mjs FOLDER MODEL.onnx INPUT.npy OUTPUT.npy
//
// FOLDER holds node_modules/onnxruntime-node.  Prints one line of JSON: the largest difference and the
// largest value that was recorded.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

function readNpy(file) {
	const bytes = fs.readFileSync(file);
	const start = 10 + bytes.readUInt16LE(8); // version 1 of the format: 16 bit header length
	const header = bytes.toString('latin1', 10, start);
	const type = /'descr': *'([^']*)'/.exec(header)[1];
	const dims = /'shape': *\(([^)]*)\)/.exec(header)[1].split(',').filter(d => d.trim()).map(Number);
	const data = bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length);
	if (type === '<f4')
		return ['float32', new Float32Array(data), dims];
	if (type === '<i8')
		return ['int64', new BigInt64Array(data), dims];
	throw new Error(`${file}: type ${type} is not supported`);
}

const [folder, model, input, output] = process.argv.slice(2);
const ort = createRequire(path.resolve(folder) + '/')('onnxruntime-node');
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
const results = await session.run({ [session.inputNames[0]]: new ort.Tensor(...readNpy(input)) });
const got = results[session.outputNames[0]], want = readNpy(output);
if (got.dims.join() !== want[2].join())
	throw new Error(`the output has shape ${got.dims}, not ${want[2]}`);
let difference = 0, largest = 0;
for (let i = 0; i < want[1].length; i++) {
	const d = Math.abs(got.data[i] - want[1][i]);
	difference = Number.isNaN(d) ? Infinity : Math.max(difference, d);
	largest = Math.max(largest, Math.abs(want[1][i]));
}
console.log(JSON.stringify({ difference, largest }));
