// Replaces the static diagrams by live ones with one cursor and one zoom for all. Everything on the page is readable without it.
(() => {
	"use strict";
	const root = document.documentElement;
	const color = name => getComputedStyle(root).getPropertyValue(name).trim();
	const data = JSON.parse(document.getElementById("captest-charts").textContent);
	if (!data.Charts || !data.Charts.length || typeof uPlot !== "function") return;

	const three = v => {
		const a = Math.abs(v);
		if (a === 0) return "0";
		if (a >= 99.95) return Math.round(v).toLocaleString("en-US");
		return v.toFixed(a >= 9.995 ? 1 : a >= 0.9995 ? 2 : 3);
	};
	const whole = v => Number.isInteger(v) ? v.toLocaleString("en-US") : three(v);
	const write = (v, unit) => {
		if (v == null) return "–";
		if (unit === "ms") return Math.abs(v) < 999.5 ? three(v) + " ms" : three(v / 1000) + " s";
		if (unit === "%") return v.toFixed(1) + " %";
		return unit === "" ? whole(v) : three(v) + unit;
	};
	const short = (v, unit) => {
		if (v === 0) return "0";
		const s = x => String(+x.toPrecision(4));
		if (unit === "ms") return v >= 1000 ? s(v / 1000) + " s" : s(v) + " ms";
		if (unit === "%") return s(v) + " %";
		return v >= 1e6 ? s(v / 1e6) + "M" : v >= 1e4 ? s(v / 1e3) + "k" : s(v) + unit;
	};
	const clock = t => {
		t = Math.round(t);
		const two = n => String(n).padStart(2, "0");
		const m = Math.floor(t / 60);
		return m >= 60 ? Math.floor(m / 60) + ":" + two(m % 60) + ":" + two(t % 60) : m + ":" + two(t % 60);
	};

	// Phases behind the lines, named where they are wide enough; failed scrapes as ticks on the floor.
	const background = marks => u => {
		const { ctx, bbox } = u, px = devicePixelRatio || 1;
		ctx.save();
		ctx.beginPath();
		ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height);
		ctx.clip();
		ctx.font = 11 * px + "px system-ui, sans-serif";
		ctx.textAlign = "center";
		(data.Bands || []).forEach((b, i) => {
			const x1 = Math.max(u.valToPos(b.From, "x", true), bbox.left);
			const x2 = Math.min(u.valToPos(b.To, "x", true), bbox.left + bbox.width);
			if (x2 <= x1) return;
			const fill = b.Tone === "overload" ? "--overband" : b.Tone === "load" && i % 2 === 0 ? "--loadband" : "";
			if (fill) {
				ctx.fillStyle = color(fill);
				ctx.fillRect(x1, bbox.top, x2 - x1, bbox.height);
			}
			ctx.fillStyle = color("--dim");
			if (ctx.measureText(b.Label).width + 6 * px < x2 - x1) ctx.fillText(b.Label, (x1 + x2) / 2, bbox.top - 6 * px);
		});
		ctx.fillStyle = color("--bad");
		marks.forEach(m => ctx.fillRect(u.valToPos(m, "x", true) - px * .75, bbox.top + bbox.height - 6 * px, 1.5 * px, 6 * px));
		ctx.restore();
	};

	let plots = [], syncing = false;
	const zoomAll = (u, key) => {
		if (key !== "x" || syncing) return;
		syncing = true;
		const { min, max } = u.scales.x;
		plots.forEach(p => { if (p.u !== u) p.u.setScale("x", { min, max }); });
		syncing = false;
	};
	const build = () => {
		plots.forEach(p => p.u.destroy());
		plots = [];
		for (const c of data.Charts) {
			const fig = document.getElementById("chart-" + c.id);
			if (!fig || !c.x || c.x.length < 2) continue;
			fig.classList.add("on");
			const box = fig.querySelector(".live");
			box.setAttribute("role", "img");
			box.setAttribute("aria-label", fig.dataset.alt);
			const axis = { stroke: () => color("--dim"), font: "11px system-ui, sans-serif", ticks: { show: false }, gap: 4 };
			const u = new uPlot({
				width: Math.max(200, box.clientWidth), height: 200, padding: [18, 10, 0, 0],
				scales: {
					x: { time: false, range: (u, lo, hi) => lo == null || lo === hi ? [data.From, data.To] : [lo, hi] },
					y: { range: (u, lo, hi) => [0, hi > 0 ? hi * 1.06 : 1] },
				},
				axes: [
					{ ...axis, size: 26, grid: { show: false }, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200], values: (u, t) => t.map(clock) },
					{ ...axis, size: 52, grid: { stroke: () => color("--grid"), width: 1 }, values: (u, t) => t.map(v => short(v, c.unit)) },
				],
				series: [{ label: "at", value: (u, v) => v == null ? "–" : clock(v) }].concat(c.names.map((name, i) => ({
					label: name, stroke: color("--c" + c.colors[i]), width: 1.6, dash: c.dashes[i] ? [5, 3] : undefined,
					points: { show: c.x.length < 3 }, value: (u, v) => write(v, c.unit), spanGaps: false,
				}))),
				cursor: { sync: { key: "captest" }, y: false, points: { size: 6 } },
				legend: { live: true, markers: { width: 0, fill: (u, i) => color("--c" + c.colors[i - 1]) } },
				hooks: { drawClear: [background(c.marks || [])], setScale: [zoomAll] },
			}, [c.x, ...c.y], box);
			u.setScale("x", { min: data.From, max: data.To });
			u.over.addEventListener("dblclick", () => u.setScale("x", { min: data.From, max: data.To }));
			plots.push({ u, box });
		}
	};
	root.classList.add("js");
	build();
	let waiting = 0;
	addEventListener("resize", () => {
		cancelAnimationFrame(waiting);
		waiting = requestAnimationFrame(() => plots.forEach(p => {
			const w = Math.max(200, p.box.clientWidth);
			if (w !== p.u.width) p.u.setSize({ width: w, height: 200 });
		}));
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
	root.dataset.charts = String(plots.length);
})();
