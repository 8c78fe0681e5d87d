'use strict';
/* Draws the figures of the report from the JSON in the page. Tables are there without it. */
(function () {
	const data = JSON.parse(document.getElementById('data').textContent);
	const charts = [];

	function css(name) {
		return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	}

	function colour(i) {
		return css('--c' + (i % 6));
	}

	function fade(hex, alpha) {
		return hex + Math.round(alpha * 255).toString(16).padStart(2, '0');
	}

	function short(v) {
		if (v === null || !isFinite(v))
			return 'unknown';
		const a = Math.abs(v);
		const digits = a >= 100 || v === Math.round(v) ? 0 : a >= 10 ? 1 : a >= 0.1 ? 2 : 4;
		return v.toFixed(digits);
	}

	/* "12.3 [11.0, 13.5]" */
	function withInterval(i, unit) {
		let text = short(i.value) + (unit ? ' ' + unit : '');
		if (i.low !== null || i.high !== null)
			text += ' [' + short(i.low) + ', ' + short(i.high) + ']';
		return text;
	}

	function title(text) {
		return {display: true, text: text, color: css('--soft')};
	}

	function axis(text, more) {
		const a = {
			title: title(text),
			grid: {color: css('--line'), borderColor: css('--line'), tickColor: css('--line')},
			ticks: {color: css('--soft'), maxRotation: 0},
			beginAtZero: true,
		};
		return Object.assign(a, more || {});
	}

	function legend(boxHeight) {
		return {
			position: 'bottom',
			labels: {color: css('--ink'), boxWidth: 14, boxHeight: boxHeight || 2},
		};
	}

	/* Whiskers: a dataset's points may carry xLow, xHigh, yLow, yHigh. */
	const whiskers = {
		id: 'whiskers',
		afterDatasetsDraw: function (chart) {
			const g = chart.ctx, area = chart.chartArea;
			g.save();
			g.beginPath();
			g.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
			g.clip();
			g.lineWidth = 1.5;
			g.strokeStyle = css('--ink');
			chart.data.datasets.forEach(function (set, d) {
				if (!set.whiskers || !chart.isDatasetVisible(d))
					return;
				const meta = chart.getDatasetMeta(d);
				set.whiskers.forEach(function (w, i) {
					const e = meta.data[i];
					if (!w || !e)
						return;
					if (w.yLow !== undefined && w.yLow !== null)
						line(g, e.x, chart.scales.y.getPixelForValue(w.yLow),
							e.x, chart.scales.y.getPixelForValue(w.yHigh));
					if (w.xLow !== undefined && w.xLow !== null)
						line(g, chart.scales.x.getPixelForValue(w.xLow), e.y,
							chart.scales.x.getPixelForValue(w.xHigh), e.y);
				});
			});
			g.restore();
		},
	};

	function line(g, x0, y0, x1, y1) {
		const cx = y0 === y1 ? 0 : 4, cy = y0 === y1 ? 4 : 0;
		g.beginPath();
		g.moveTo(x0, y0);
		g.lineTo(x1, y1);
		g.moveTo(x0 - cx, y0 - cy);
		g.lineTo(x0 + cx, y0 + cy);
		g.moveTo(x1 - cx, y1 - cy);
		g.lineTo(x1 + cx, y1 + cy);
		g.stroke();
	}

	function draw(id, config) {
		config.options = Object.assign({
			responsive: true,
			maintainAspectRatio: false,
			animation: false,
		}, config.options);
		config.plugins = [whiskers];
		charts.push(new Chart(document.getElementById(id), config));
	}

	function setLabels() {
		return data.sets.filter(function (s) { return s.members.length > 1; });
	}

	/* The study's first figure: what each tenant can get alone and beside the others. */
	function drawPeaks() {
		const kinds = [{label: 'alone', set: null}].concat(setLabels().map(function (s) {
			return {label: s.label, set: s.name};
		}));
		const found = function (tenant, kind) {
			return data.lines.find(function (l) {
				return l.tenant === tenant && (kind.set ? l.set === kind.set : l.alone);
			});
		};
		let top = 0;
		const sets = kinds.map(function (kind, k) {
			const lines = data.tenants.map(function (t) { return found(t.name, kind); });
			lines.forEach(function (l) {
				if (l && l.capacity_rps.value !== null)
					top = Math.max(top, l.capacity_rps.value, l.capacity_rps.high || 0);
			});
			return {
				label: kind.label,
				data: lines.map(function (l) { return l ? l.capacity_rps.value : null; }),
				whiskers: lines.map(function (l) {
					return l ? {yLow: l.capacity_rps.low, yHigh: l.capacity_rps.high} : null;
				}),
				lines: lines,
				backgroundColor: fade(colour(k), 0.75),
				maxBarThickness: 64,
			};
		});
		draw('peaks', {
			type: 'bar',
			data: {labels: data.tenants.map(function (t) { return t.name; }), datasets: sets},
			options: {
				scales: {
					x: axis('', {title: {display: false}, grid: {display: false, borderColor: css('--line')}}),
					y: axis('requests/s at the SLA', {suggestedMax: top}),
				},
				plugins: {
					legend: legend(9),
					tooltip: {callbacks: {label: function (c) {
						const l = c.dataset.lines[c.dataIndex];
						return c.dataset.label + ': ' + withInterval(l.capacity_rps, 'requests/s');
					}}},
				},
			},
		});
	}

	/* The study's second figure: of the first frontier that was searched, or else of a pair. */
	function drawFrontier() {
		const searched = data.frontier.length ? data.frontier.filter(function (r) {
			return r.frontier === data.frontier[0].frontier;
		}) : null;
		const place = function (name) {
			return data.tenants.findIndex(function (t) { return t.name === name; });
		};
		const pair = searched ? {members: [place(searched[0].first_tenant), place(searched[0].second_tenant)]}
			: data.sets.find(function (s) { return s.members.length === 2; });
		if (!pair) {
			document.getElementById('frontier-box').remove();
			return;
		}
		const a = data.tenants[pair.members[0]], b = data.tenants[pair.members[1]];
		const of = function (t, alone) {
			const l = data.lines.find(function (x) {
				return x.tenant === t.name && (alone ? x.alone : x.set === pair.name);
			});
			return l ? l.capacity_rps : {value: null, low: null, high: null};
		};
		const zero = {value: 0, low: null, high: null};
		const a1 = of(a, true), b1 = of(b, true);
		/* what the campaign searched between the two: its own points, or the one on the way */
		const between = searched ? searched.map(function (r) { return [r.first_rps, r.second_rps]; })
			: [[of(a, false), of(b, false)]];
		between.sort(function (p, q) { return p[1].value / p[0].value - q[1].value / q[0].value; });
		const all = [[a1, zero]].concat(between, [[zero, b1]]).filter(function (p) {
			return p[0].value !== null && p[1].value !== null;
		});
		const points = all.map(function (p) {
			return {x: p[0].value, y: p[1].value, text: a.name + ' ' + withInterval(p[0]) + ', ' +
				b.name + ' ' + withInterval(p[1]) + ' requests/s'};
		});
		const w = all.map(function (p) {
			return {xLow: p[0].low, xHigh: p[0].high, yLow: p[1].low, yHigh: p[1].high};
		});
		draw('frontier', {
			type: 'scatter',
			data: {datasets: [{
				label: 'measured', data: points, whiskers: w,
				showLine: true, borderColor: colour(0), backgroundColor: colour(0), pointRadius: 5,
				borderWidth: 2, clip: false,
			}, {
				label: 'no gain, no loss', data: [{x: a1.value, y: 0}, {x: 0, y: b1.value}],
				showLine: true, borderColor: css('--soft'), borderDash: [5, 4], borderWidth: 1.5,
				pointRadius: 0, pointHitRadius: 0,
			}, {
				label: 'demand', data: [{x: a.demand_rps, y: b.demand_rps,
					text: 'demand: ' + a.name + ' ' + short(a.demand_rps) + ', ' + b.name + ' ' + short(b.demand_rps) + ' requests/s'}],
				borderColor: colour(1), backgroundColor: colour(1), pointStyle: 'rectRot', pointRadius: 7,
				clip: false,
			}]},
			options: {
				scales: {
					x: axis(a.name + ', requests/s', {suggestedMax: a1.high || a1.value || 1}),
					y: axis(b.name + ', requests/s', {suggestedMax: b1.high || b1.value || 1}),
				},
				plugins: {
					legend: legend(),
					tooltip: {callbacks: {label: function (c) { return c.raw.text || ''; }}},
				},
			},
		});
	}

	const nines = {1: '0', 2: '50', 10: '90', 20: '95', 100: '99', 1000: '99.9', 10000: '99.99', 100000: '99.999'};

	function percent(x) {
		return (100 * (1 - 1 / x)).toFixed(x < 100 ? 1 : x < 1000 ? 2 : 3) + ' %';
	}

	/* One figure per tenant: latency against 1/(1-p). */
	function drawCurves() {
		const box = document.getElementById('curves');
		data.tenants.forEach(function (t, i) {
			const lines = data.lines.filter(function (l) { return l.tenant === t.name && l.curve.length > 1; });
			if (lines.length === 0)
				return;
			const figure = document.createElement('figure');
			const caption = document.createElement('figcaption');
			const holder = document.createElement('div');
			const canvas = document.createElement('canvas');
			figure.className = 'chart';
			caption.textContent = 'Latency of ' + t.name + ' at ' + short(t.demand_rps) + ' requests/s';
			canvas.id = 'curve-' + i;
			canvas.setAttribute('role', 'img');
			canvas.setAttribute('aria-label', caption.textContent);
			holder.append(canvas);
			figure.append(caption, holder);
			box.append(figure);
			const sets = lines.map(function (l, k) {
				return {
					label: l.label, data: l.curve, showLine: true, borderColor: colour(k),
					backgroundColor: colour(k), borderWidth: 2, pointRadius: 0, pointHitRadius: 8,
				};
			});
			const end = Math.max.apply(null, lines.map(function (l) { return l.curve[l.curve.length - 1].x; }));
			if (t.sla_percentile > 0)
				sets.push({
					label: 'p' + t.sla_percentile + ' limit',
					data: [{x: 1, y: t.sla_limit_ms}, {x: 1 / (1 - t.sla_percentile / 100), y: t.sla_limit_ms},
						{x: 1 / (1 - t.sla_percentile / 100), y: 0}],
					showLine: true, borderColor: css('--soft'), borderDash: [5, 4], borderWidth: 1.5,
					pointRadius: 0, pointHitRadius: 0,
				});
			draw(canvas.id, {
				type: 'scatter',
				data: {datasets: sets},
				options: {
					interaction: {mode: 'nearest', axis: 'x', intersect: false},
					scales: {
						x: axis('percentile', {
							type: 'logarithmic', beginAtZero: false, min: 1, max: Math.max(end, 20),
							afterBuildTicks: function (s) {
								s.ticks = Object.keys(nines).map(Number).filter(function (v) {
									return v <= s.max;
								}).map(function (v) { return {value: v}; });
							},
							ticks: {color: css('--soft'), maxRotation: 0, autoSkip: true,
								callback: function (v) { return nines[v] || ''; }},
						}),
						y: axis('ms'),
					},
					plugins: {
						legend: legend(),
						tooltip: {callbacks: {
							title: function () { return ''; },
							label: function (c) {
								return c.dataset.label + ': ' + percent(c.raw.x) + ' within ' + short(c.raw.y) + ' ms';
							},
						}},
					},
				},
			});
		});
	}

	function drawTimeline(id, key, unit) {
		const sets = data.sets.filter(function (s) { return s.timeline && s.timeline.length > 0; });
		draw(id, {
			type: 'scatter',
			data: {datasets: sets.map(function (s, k) {
				return {
					label: s.members.length > 1 ? s.label : data.tenants[s.members[0]].name + ' alone',
					data: s.timeline.filter(function (p) { return p[key] !== null; }).map(function (p) {
						return {x: p.t, y: p[key]};
					}),
					showLine: true, borderColor: colour(k), backgroundColor: colour(k), borderWidth: 2,
					pointRadius: 0, pointHitRadius: 8,
				};
			})},
			options: {
				interaction: {mode: 'nearest', axis: 'x', intersect: false},
				scales: {x: axis('seconds since the load began'), y: axis(unit)},
				plugins: {
					legend: legend(),
					tooltip: {callbacks: {
						title: function () { return ''; },
						label: function (c) {
							return c.dataset.label + ': ' + short(c.raw.y) + ' ' + unit + ' at ' + short(c.raw.x) + ' s';
						},
					}},
				},
			},
		});
	}

	function drawAll() {
		charts.splice(0).forEach(function (c) { c.destroy(); });
		document.getElementById('curves').textContent = '';
		Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
		drawPeaks();
		if (document.getElementById('frontier'))
			drawFrontier();
		drawCurves();
		drawTimeline('cpu', 'cpu', 'CPUs');
		drawTimeline('memory', 'mib', 'MiB');
		document.documentElement.dataset.drawn = String(charts.length);
	}

	drawAll();
	/* Colours are baked into a canvas: draw again when the scheme changes. */
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
})();
