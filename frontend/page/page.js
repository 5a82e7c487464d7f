/* The page of `normc inspect --html`: both sides scroll together; boxes and remarks of the same
 * ONNX node are shown together.  The page is complete without this script; everything that comes
 * from the model goes through textContent. */
"use strict";
(() => {
	const data = JSON.parse(document.getElementById("data").textContent);
	const sides = {b: data.before, a: data.after};
	const panes = {b: document.getElementById("pane-b"), a: document.getElementById("pane-a")};
	const details = document.getElementById("details");
	const boxes = Array.from(document.querySelectorAll("g.box"));
	const bySource = new Map(), linksOf = new Map(), findingsOf = new Map();

	const push = (map, key, value) => {
		const list = map.get(key);
		if (list)
			list.push(value);
		else
			map.set(key, [value]);
	};
	for (const box of boxes)
		if (box.dataset.s !== "0")
			push(bySource, box.dataset.s, box);
	for (const side of ["b", "a"])
		for (const path of panes[side].querySelectorAll(".links path")) {
			push(linksOf, side + path.dataset.from, path);
			push(linksOf, side + path.dataset.to, path);
		}
	for (const finding of data.findings)
		push(findingsOf, String(finding.source), finding);

	/* ---- the details of a box ---- */

	const element = (tag, text, className) => {
		const made = document.createElement(tag);
		if (text !== undefined)
			made.textContent = text;
		if (className)
			made.className = className;
		return made;
	};
	const describe = (box) => {
		const side = box.id[0], is = sides[side][Number(box.id.slice(1))];
		const list = element("dl");
		const row = (name, text) => {
			if (text !== undefined && text !== "")
				list.append(element("dt", name), element("dd", text));
		};
		details.replaceChildren(element("h3", is.title + (side === "b" ? " (before)" : " (after)")));
		row("name", is.name);
		row("type", is.type);
		row("constants", is.constants);
		row("made by", is.via);
		if (is.op !== undefined)
			row("ONNX node", `${is.position}: ${is.op}, opset ${is.opset}`);
		row("from afar", is.far);
		if (box.classList.contains("gone"))
			row("afterwards", "nothing of it is left");
		for (const finding of findingsOf.get(box.dataset.s) || [])
			if (box.dataset.s !== "0")
				row(finding.missed ? "✗ " + finding.rule : "✓ " + finding.rule,
				    finding.missed || "done");
		details.append(list);
		if (is.parts.length) {
			const more = is.more ? `\n… and ${is.more} more` : "";
			details.append(element("pre", is.parts.join("\n") + more));
		}
		details.hidden = false;
	};

	/* ---- highlights ---- */

	let pinned = null, marked = [];
	const partners = (box) => (box.dataset.s === "0" ? [box] : bySource.get(box.dataset.s));
	const show = (box) => {
		for (const old of marked)
			old.classList.remove("hot", "pinned");
		marked = [];
		if (!box) {
			details.hidden = true;
			return;
		}
		const mark = (one, ...names) => {
			one.classList.add(...names);
			marked.push(one);
		};
		for (const partner of partners(box))
			mark(partner, "hot");
		for (const path of linksOf.get(box.id) || [])
			mark(path, "hot");
		if (box === pinned)
			mark(box, "pinned");
		describe(box);
	};
	const pin = (box) => {
		pinned = box;
		show(box);
	};
	const boxAt = (event) => event.target.closest("g.box");
	for (const pane of Object.values(panes)) {
		pane.addEventListener("pointerover", (event) => {
			const box = boxAt(event);
			if (box && !pinned)
				show(box);
		});
		pane.addEventListener("click", (event) => pin(boxAt(event)));
	}

	/* ---- scrolling ---- */

	const into = (pane, box) => {
		const at = box.getBoundingClientRect(), view = pane.getBoundingClientRect();
		pane.scrollLeft += at.left + at.width / 2 - view.left - pane.clientWidth / 2;
		pane.scrollTop += at.top + at.height / 2 - view.top - pane.clientHeight / 2;
	};
	const follow = (from, to) => from.addEventListener("scroll", () => {
		if (Math.abs(to.scrollTop - from.scrollTop) > 1)
			to.scrollTop = from.scrollTop;
	}, {passive: true});
	follow(panes.b, panes.a);
	follow(panes.a, panes.b);
	/* The other side first: it follows this one up and down. */
	const goTo = (box) => {
		const other = partners(box).find((one) => one.id[0] !== box.id[0]);
		if (other)
			into(panes[other.id[0]], other);
		into(panes[box.id[0]], box);
		pin(box);
	};
	document.getElementById("lists").addEventListener("click", (event) => {
		const link = event.target.closest("a");
		if (!link)
			return;
		event.preventDefault();
		goTo(document.getElementById(link.hash.slice(1)));
	});

	/* ---- search ---- */

	const search = document.getElementById("search"), found = document.getElementById("found");
	let matches = [], here = -1;
	const textOf = (box) => {
		const is = sides[box.id[0]][Number(box.id.slice(1))];
		return `${is.title} ${is.name || ""} ${is.op || ""} ${is.via || ""} ${is.type || ""}`.toLowerCase();
	};
	const texts = boxes.map(textOf);
	const find = () => {
		const what = search.value.trim().toLowerCase();
		document.body.classList.toggle("searching", what !== "");
		matches = [];
		boxes.forEach((box, i) => {
			const is = what !== "" && texts[i].includes(what);
			box.classList.toggle("match", is);
			box.classList.remove("here");
			if (is)
				matches.push(box);
		});
		here = -1;
		found.textContent = what ? String(matches.length) : "";
	};
	const go = (step) => {
		if (!matches.length)
			return;
		if (here >= 0)
			matches[here].classList.remove("here");
		here = (here + step + matches.length + (here < 0 && step < 0 ? 1 : 0)) % matches.length;
		matches[here].classList.add("here");
		found.textContent = `${here + 1} / ${matches.length}`;
		goTo(matches[here]);
	};
	search.addEventListener("input", find);
	search.addEventListener("keydown", (event) => {
		if (event.key === "Enter")
			go(event.shiftKey ? -1 : 1);
	});
	document.getElementById("next").addEventListener("click", () => go(1));
	document.getElementById("previous").addEventListener("click", () => go(-1));
	document.addEventListener("keydown", (event) => {
		if (event.key === "Escape")
			pin(null);
	});

	/* ---- size ---- */

	const steps = [0.1, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8, 0.9, 1, 1.25, 1.5, 2];
	const graphs = Array.from(document.querySelectorAll("svg.graph"));
	const sizes = graphs.map((svg) => [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))]);
	let zoom = steps.indexOf(1);
	const resize = (to) => {
		const old = steps[zoom];
		zoom = Math.min(Math.max(to, 0), steps.length - 1);
		const now = steps[zoom];
		const keep = Object.values(panes).map((pane) => [pane,
			(pane.scrollLeft + pane.clientWidth / 2) * now / old - pane.clientWidth / 2,
			(pane.scrollTop + pane.clientHeight / 2) * now / old - pane.clientHeight / 2]);
		graphs.forEach((svg, i) => {
			svg.setAttribute("width", sizes[i][0] * now);
			svg.setAttribute("height", sizes[i][1] * now);
		});
		document.getElementById("zoom").textContent = Math.round(now * 100) + " %";
		for (const [pane, left, top] of keep) {
			pane.scrollLeft = left;
			pane.scrollTop = top;
		}
	};
	document.getElementById("smaller").addEventListener("click", () => resize(zoom - 1));
	document.getElementById("larger").addEventListener("click", () => resize(zoom + 1));

	/* All of the width if that can be read. */
	const room = Math.min(...graphs.map((svg, i) => svg.parentElement.clientWidth / sizes[i][0]));
	const fits = steps.findLastIndex((step) => step <= Math.min(room, 1));
	resize(steps[fits] >= 0.65 ? fits : steps.indexOf(0.8));
	for (const pane of Object.values(panes)) {
		const first = pane.querySelector("g.box");
		pane.scrollLeft = (pane.scrollWidth - pane.clientWidth) / 2;
		const at = first && first.getBoundingClientRect(), view = pane.getBoundingClientRect();
		if (at && (at.left < view.left || at.right > view.right))
			into(pane, first);
		pane.scrollTop = 0;
	}
	/* After the browser's own jump to an address such as page.html#b12. */
	const jump = () => {
		const box = location.hash && document.getElementById(location.hash.slice(1));
		if (box && box.matches("g.box"))
			goTo(box);
	};
	addEventListener("load", () => requestAnimationFrame(jump));
	addEventListener("hashchange", jump);
	document.documentElement.dataset.ready = "1";
})();
