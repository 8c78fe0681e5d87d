'use strict';
/* Published figures beside ours: the peaks with a little of the other model, and the frontier, both in
 * shares of what each model does alone on the same machine, so that machines of any size compare. */
(function () {
	const fig = perseus.figures, css = fig.css, colour = fig.colour, short = fig.short, p = fig.data.published;
	const both = p.first + ' and ' + p.second;

	function isOurs(row) {
		return row.whose === 'measured here';
	}

	function machineName(row) {
		return isOurs(row) ? row.machine + ', here' : row.machine;
	}

	/* What a machine does alone; null: not known. */
	function aloneOf(point) {
		return p.peaks.find(function (m) { return m.machine === point.machine && m.whose === point.whose; });
	}

	/* A rate in per cent of what is possible alone, the ends with it. */
	function share(rate, alone) {
		const at = function (v) { return v === null ? null : 100 * v / alone.value; };
		return {value: at(rate.value), low: at(rate.low), high: at(rate.high)};
	}

	function shares(point) {
		const alone = aloneOf(point);
		return [share(point.first_rps, alone.first_alone_rps), share(point.second_rps, alone.second_alone_rps)];
	}

	function isKnown(point) {
		const alone = aloneOf(point);
		return point.sum_of_shares.value !== null && alone.first_alone_rps.value !== null && alone.second_alone_rps.value !== null;
	}

	const points = p.points.filter(isKnown);

	/* ---- peaks ---- */

	function peaks() {
		return points.filter(function (r) { return r.what !== 'frontier'; });
	}

	function peaksConfig() {
		const rows = peaks(), all = rows.map(shares);
		const bars = function (i, name) {
			return {
				label: name, data: all.map(function (s) { return s[i].value; }), stack: 'one',
				backgroundColor: rows.map(function (r) { return fig.fade(colour(i), isOurs(r) ? 1 : 0.55); }),
				maxBarThickness: 22,
			};
		};
		const keys = fig.legend(10);
		keys.labels.generateLabels = function () {
			return [p.first, p.second].map(function (name, i) {
				return {text: name, fillStyle: colour(i), strokeStyle: colour(i), fontColor: css('--ink'), datasetIndex: i};
			});
		};
		return {
			type: 'bar',
			data: {
				labels: rows.map(function (r) {
					return (isOurs(r) ? 'here' : r.machine) + ': most ' + r.what.slice('peak of '.length);
				}),
				datasets: [bars(0, p.first), bars(1, p.second)],
			},
			options: {
				indexAxis: 'y',
				scales: {
					x: fig.axis('% of what each does alone', {stacked: true, suggestedMax: 110}),
					y: fig.axis('', {stacked: true, ticks: {color: css('--ink'), autoSkip: false}}),
				},
				plugins: {legend: keys, tooltip: {callbacks: {label: function (c) {
					const r = rows[c.dataIndex];
					return c.dataset.label + ': ' + c.raw.toFixed(1) + ' %, ' +
						fig.withInterval(c.datasetIndex === 0 ? r.first_rps : r.second_rps, '/s');
				}}}},
			},
		};
	}

	/* ---- frontier ---- */

	function series() {
		const list = [];
		points.forEach(function (r) {
			let s = list.find(function (x) { return x.machine === r.machine && x.ours === isOurs(r); });
			if (!s)
				list.push(s = {machine: r.machine, name: machineName(r), ours: isOurs(r), rows: []});
			s.rows.push(r);
		});
		return list;
	}

	function dataset(s, i) {
		const at = s.rows.map(shares).sort(function (a, b) { return a[1].value - b[1].value; });
		return {
			label: s.name,
			data: at.map(function (v) {
				return {x: v[0].value, y: v[1].value, text: s.name + ': ' + v[0].value.toFixed(1) + ' % + ' + v[1].value.toFixed(1) + ' %'};
			}),
			whiskers: s.ours ? at.map(function (v) {
				return {xLow: v[0].low, xHigh: v[0].high, yLow: v[1].low, yHigh: v[1].high};
			}) : undefined,
			showLine: true, borderColor: colour(i), backgroundColor: colour(i), borderWidth: s.ours ? 3 : 1.5,
			borderDash: s.ours ? [] : [2, 3], pointStyle: s.ours ? 'rectRot' : ['circle', 'triangle', 'rect', 'star'][i % 4],
			pointRadius: s.ours ? 7 : 4, clip: false,
		};
	}

	function frontierConfig() {
		const keys = fig.legend(8), list = series();
		keys.labels.usePointStyle = true;
		/* ours first, so that it has the colour of what was measured everywhere */
		list.sort(function (a, b) { return Number(b.ours) - Number(a.ours); });
		const sets = list.map(dataset);
		sets.push({label: 'no gain, no loss', data: [{x: 100, y: 0}, {x: 0, y: 100}], showLine: true, borderDash: [6, 4], pointRadius: 0,
			borderWidth: 1.5, borderColor: css('--soft'), backgroundColor: css('--soft')});
		return {
			type: 'scatter', data: {datasets: sets},
			options: {
				scales: {x: fig.axis(p.first + ', % of alone', {suggestedMax: 110}), y: fig.axis(p.second + ', % of alone', {suggestedMax: 110})},
				plugins: {legend: keys, tooltip: {callbacks: {label: function (c) { return c.raw.text || ''; }}}},
			},
		};
	}

	/* ---- whole machines by load ---- */

	function loadsConfig() {
		const line = function (key, name, i) {
			return {
				label: name, showLine: true, borderColor: colour(i), backgroundColor: colour(i), borderWidth: 2, pointRadius: 4,
				data: p.loads.map(function (r) {
					return {x: 100 * r.load, y: 100 * r[key].value, text: name + ' at ' + short(100 * r.load) + ' % each: ' + fig.percent(r[key])};
				}),
				whiskers: p.loads.map(function (r) {
					return r[key].low === null ? null : {yLow: 100 * r[key].low, yHigh: 100 * r[key].high};
				}),
				whiskerColor: colour(i), clip: false,
			};
		};
		const keys = fig.legend(8);
		keys.labels.usePointStyle = true;
		return {
			type: 'scatter',
			data: {datasets: [line('machine_saving', 'these two', 0), line('most_saving', 'as many as fit', 1)]},
			options: {
				scales: {x: fig.axis('load of each tenant, % of what it does alone'), y: fig.axis('machines saved, %', {suggestedMax: 100})},
				plugins: {legend: keys, tooltip: {callbacks: {label: function (c) { return c.raw.text; }}}},
			},
		};
	}

	/* ---- all ---- */

	const columns = [{key: 'machine', head: 'machine', text: true}, {key: 'whose', head: 'whose', text: true}, {key: 'what', head: 'what', text: true},
		{key: 'first_rps', head: p.first + '/s'}, {key: 'second_rps', head: p.second + '/s'},
		{key: 'sum_of_shares', head: 'sum of shares'}, {key: 'low', head: 'low'}, {key: 'high', head: 'high'}];

	function rowsOf(list) {
		return function () {
			return list().map(function (r) {
				return [r.machine, r.whose, r.what, r.first_rps.value, r.second_rps.value, r.sum_of_shares.value, r.sum_of_shares.low,
					r.sum_of_shares.high];
			});
		};
	}

	if (peaks().length > 0)
		fig.add('published', {id: 'published-peaks', title: 'Peak of one model with a little of the other, published and here',
			summary: 'Each bar sums both models in per cent of what they do alone; above 100 % sharing gains.',
			columns: columns, rows: rowsOf(peaks), config: peaksConfig, height: 24});
	if (points.length > 0)
		fig.add('published', {id: 'published-frontier', title: 'What ' + both + ' get from one machine, published and here',
			summary: 'Above the dashed line sharing gains, below it loses.',
			columns: columns, rows: rowsOf(function () { return points; }), config: frontierConfig, height: 26});
	if (p.loads.length > 0)
		fig.add('published', {id: 'published-loads', title: 'Whole machines saved here, by load',
			summary: 'Of two tenants, one of each model, and of as many as fill one machine.',
			columns: [{key: 'load', head: 'load each'}, {key: 'machine_saving', head: 'two'}, {key: 'two_low', head: 'low'}, {key: 'two_high', head: 'high'},
				{key: 'most_tenants', head: 'fit'}, {key: 'most_saving', head: 'saving then'}, {key: 'most_low', head: 'low'}, {key: 'most_high', head: 'high'}],
			rows: function () {
				return p.loads.map(function (r) {
					return [r.load, r.machine_saving.value, r.machine_saving.low, r.machine_saving.high, r.most_tenants.value,
						r.most_saving.value, r.most_saving.low, r.most_saving.high];
				});
			},
			config: loadsConfig});
})();
