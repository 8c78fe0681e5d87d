'use strict';
/* The figures of the report, from the JSON in the page. The tables are there without it. */
(function () {
	const fig = perseus.figures, data = fig.data, css = fig.css, colour = fig.colour, short = fig.short;
	const none = {value: null, low: null, high: null};
	/* more lines than these cannot be told apart; the tables have all of them */
	const maxKinds = 6, maxFigures = 12;

	function several() {
		return data.comparisons.map(function (c) {
			return data.sets.find(function (s) { return s.name === c.set; });
		});
	}

	function find(tenant, set) {
		return data.lines.find(function (l) {
			return l.tenant === tenant && (set ? l.set === set : l.alone);
		});
	}

	function ends(i) {
		return {low: i.low, high: i.high};
	}

	function dashed(label, points) {
		return {label: label, data: points, showLine: true, borderColor: css('--soft'), borderDash: [5, 4],
			borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0, pointStyle: 'line'};
	}

	function note(shown, all, what, where) {
		return shown < all ? shown + ' of ' + all + ' ' + what + ' are drawn; ' + (where || 'the table has all.') : undefined;
	}

	/* ---- savings ---- */

	function savingRows() {
		const kinds = [['fluid, at the demand rates', 'fluid_saving'], ['fluid, at full load', 'full_load_saving'],
			['machines', 'machine_saving'], ['processor time', 'cpu_saving']];
		const list = [];
		data.comparisons.forEach(function (c) {
			kinds.forEach(function (k) { list.push([c.set, k[0], c[k[1]].value, c[k[1]].low, c[k[1]].high]); });
		});
		return list;
	}

	function savingsConfig() {
		const rows = savingRows().filter(function (r) { return r[2] !== null; }).slice(0, 4 * maxKinds);
		const many = data.comparisons.length > 1, percents = function (v) { return v === null ? null : 100 * v; };
		const ys = rows.map(function (r, i) { return i; });
		const shown = function (v, r) { return percents(v === null || !isFinite(v) ? r[2] : v); };
		const lows = rows.map(function (r) { return shown(r[3], r); });
		const highs = rows.map(function (r) { return shown(r[4], r); });
		return {
			type: 'scatter',
			data: {datasets: [{
				data: rows.map(function (r, i) { return {x: percents(r[2]), y: i, row: r}; }),
				whiskers: rows.map(function (r) { return {xLow: percents(r[3]), xHigh: percents(r[4])}; }),
				backgroundColor: rows.map(function (r) {
					return r[3] > 0 ? css('--good') : r[4] !== null && r[4] < 0 ? css('--bad') : css('--open');
				}),
				borderColor: css('--ink'), borderWidth: 0, pointRadius: 6, pointHoverRadius: 7, clip: false,
			}]},
			options: {
				scales: {
					x: fig.axis('saved, %; left of 0: a loss', {suggestedMin: Math.min.apply(null, lows),
						suggestedMax: Math.max.apply(null, highs), grid: {color: function (c) {
						return c.tick.value === 0 ? css('--soft') : css('--line');
					}, borderColor: css('--line')}}),
					y: {min: -0.5, max: Math.max(ys.length, 1) - 0.5, reverse: true,
						grid: {display: false, borderColor: css('--line')},
						afterBuildTicks: function (s) { s.ticks = ys.map(function (v) { return {value: v}; }); },
						ticks: {color: css('--ink'), autoSkip: false, callback: function (v) {
							const chart = this.chart, lines = rows[v] ? (many ? [rows[v][0], rows[v][1]] : rows[v][1].split(', ')) : [''];
							return many || chart.width < 600 ? lines.map(function (l) { return fig.fit(l, chart, 0.4); }) : lines.join(', ');
						}}},
				},
				plugins: {legend: {display: false}, tooltip: {callbacks: {label: function (c) {
					const r = c.raw.row;
					return r[0] + ', ' + r[1] + ': ' + fig.percent({value: r[2], low: r[3], high: r[4]});
				}}}},
			},
		};
	}

	function savings() {
		const rows = savingRows().filter(function (r) { return r[2] !== null; });
		if (rows.length === 0)
			return;
		fig.add('savings', {id: 'savings', wide: true, title: 'What sharing saves, with 95 % intervals',
			note: note(Math.min(rows.length, 4 * maxKinds), rows.length, 'savings'),
			summary: rows.slice(0, 4).map(function (r) {
				return r[1] + ' ' + fig.percent({value: r[2], low: r[3], high: r[4]});
			}).join('; ') + '.',
			height: 6 + 2.4 * Math.min(rows.length, 4 * maxKinds),
			columns: [{key: 'set', head: 'set', text: true}, {key: 'saving', head: 'saving', text: true},
				{key: 'value', head: 'share saved'}, {key: 'low', head: 'low'}, {key: 'high', head: 'high'}],
			rows: savingRows, config: savingsConfig});
	}

	/* ---- bars of each tenant, alone and in the sets ---- */

	function kinds() {
		return [{label: 'alone', set: null}].concat(several().map(function (s) {
			return {label: s.label, set: s.name};
		}));
	}

	function barRows(key) {
		const list = [];
		data.tenants.forEach(function (t) {
			kinds().forEach(function (k) {
				const l = find(t.name, k.set);
				if (l)
					list.push([t.name, k.label, l[key].value, l[key].low, l[key].high]);
			});
		});
		return list;
	}

	/* Of many tenants only the sets that hold most of them can be bars beside each other; the bars lie
	 * then, so that the names have room. */
	function drawnKinds() {
		const n = data.tenants.length;
		return kinds().filter(function (k) {
			const s = data.sets.find(function (x) { return x.name === k.set; });
			return n <= maxKinds || !s || s.members.length >= n / 2;
		}).slice(0, maxKinds);
	}

	function barsConfig(key, unit) {
		const shown = drawnKinds(), lying = data.tenants.length > maxKinds;
		let top = 0;
		const sets = shown.map(function (kind, k) {
			const values = data.tenants.map(function (t) {
				const l = find(t.name, kind.set);
				return l ? l[key] : none;
			});
			values.forEach(function (v) { top = fig.largest([top, v.value, v.high]); });
			return {
				label: kind.label,
				data: values.map(function (v) { return fig.drawable(v.value); }),
				whiskers: values.map(function (v) {
					return lying ? {xLow: v.low, xHigh: v.high} : {yLow: v.low, yHigh: v.high};
				}),
				values: values, backgroundColor: fig.fade(colour(k), 0.75), maxBarThickness: 64,
			};
		});
		return {
			type: 'bar',
			data: {labels: data.tenants.map(function (t) { return t.name; }), datasets: sets},
			options: {
				indexAxis: lying ? 'y' : 'x',
				scales: {[lying ? 'y' : 'x']: fig.axis('', {grid: {display: false, borderColor: css('--line')},
					ticks: {color: css('--ink'), autoSkip: false, maxRotation: 0}}),
					[lying ? 'x' : 'y']: fig.axis(unit, {suggestedMax: top})},
				plugins: {legend: fig.legend(9), tooltip: {callbacks: {label: function (c) {
					return c.dataset.label + ': ' + fig.withInterval(c.dataset.values[c.dataIndex], unit);
				}}}},
			},
		};
	}

	function bars(id, title, key, unit, column) {
		const rows = function () { return barRows(key); };
		const known = rows().filter(function (r) { return r[2] !== null; });
		if (known.length === 0)
			return;
		const n = data.tenants.length;
		fig.add('capacity', {id: id, title: title, note: note(drawnKinds().length, kinds().length, 'sets'),
			height: n > maxKinds ? 6 + n * (0.6 + 0.7 * drawnKinds().length) : undefined,
			summary: known.slice(0, 4).map(function (r) {
				return r[0] + ' ' + r[1] + ' ' + short(r[2]) + ' ' + unit;
			}).join('; ') + '.',
			columns: [{key: 'tenant', head: 'tenant', text: true}, {key: 'set', head: 'set', text: true},
				{key: column, head: unit}, {key: column + '_low', head: 'low'}, {key: column + '_high', head: 'high'}],
			rows: rows, config: function () { return barsConfig(key, unit); }});
	}

	/* ---- the frontier of two tenants ---- */

	/* Each frontier that was searched, else each set of two: {name, a, b, points [[x, y] intervals]}. */
	function frontiers() {
		const place = function (name) { return data.tenants.find(function (t) { return t.name === name; }); };
		const alone = function (t) {
			const l = find(t.name, null);
			return l ? l.capacity_rps : none;
		};
		const list = [];
		data.frontier.forEach(function (r) {
			let f = list.find(function (x) { return x.name === r.frontier; });
			if (!f)
				list.push(f = {name: r.frontier, a: place(r.first_tenant), b: place(r.second_tenant), points: []});
			f.points.push([r.first_rps, r.second_rps]);
		});
		if (list.length === 0)
			several().filter(function (s) { return s.members.length === 2; }).forEach(function (s) {
				const a = data.tenants[s.members[0]], b = data.tenants[s.members[1]];
				const la = find(a.name, s.name), lb = find(b.name, s.name);
				if (la && lb)
					list.push({name: s.name, a: a, b: b, points: [[la.capacity_rps, lb.capacity_rps]]});
			});
		const zero = {value: 0, low: null, high: null};
		list.forEach(function (f) {
			f.points.sort(function (p, q) { return p[1].value / p[0].value - q[1].value / q[0].value; });
			f.points = [[alone(f.a), zero]].concat(f.points, [[zero, alone(f.b)]]).filter(function (p) {
				return p[0].value !== null && p[1].value !== null;
			});
		});
		return list.filter(function (f) { return f.points.length > 1; });
	}

	function frontierConfig(f) {
		const a = f.a, b = f.b, first = f.points[0], last = f.points[f.points.length - 1];
		const text = function (p) {
			return a.name + ' ' + fig.withInterval(p[0]) + ', ' + b.name + ' ' + fig.withInterval(p[1]) + ' requests/s';
		};
		const sets = [{
			label: 'measured', data: f.points.map(function (p) { return {x: p[0].value, y: p[1].value, text: text(p)}; }),
			whiskers: f.points.map(function (p) {
				return {xLow: p[0].low, xHigh: p[0].high, yLow: p[1].low, yHigh: p[1].high};
			}),
			showLine: true, borderColor: colour(0), backgroundColor: colour(0), pointRadius: 5, borderWidth: 2, clip: false,
		}];
		const keys = fig.legend(8);
		keys.labels.usePointStyle = true;
		if (first[1].value === 0 && last[0].value === 0)
			sets.push(dashed('no gain, no loss', [{x: first[0].value, y: 0}, {x: 0, y: last[1].value}]));
		sets.push({
			label: 'demand', data: [{x: a.demand_rps, y: b.demand_rps, text: 'demand: ' + a.name + ' ' +
				short(a.demand_rps) + ', ' + b.name + ' ' + short(b.demand_rps) + ' requests/s'}],
			borderColor: colour(1), backgroundColor: colour(1), pointStyle: 'rectRot', pointRadius: 7, clip: false,
		});
		/* an interval that goes far beyond every point is cut, not the points made small */
		const top = function (k) {
			const ends = f.points.map(function (p) { return p[k].high || p[k].value; });
			const values = f.points.map(function (p) { return p[k].value; });
			return Math.min(Math.max.apply(null, ends), 2.5 * Math.max.apply(null, values));
		};
		return {
			type: 'scatter', data: {datasets: sets},
			options: {
				scales: {x: fig.axis(a.name + ', requests/s', {suggestedMax: top(0)}),
					y: fig.axis(b.name + ', requests/s', {suggestedMax: top(1)})},
				plugins: {legend: keys, tooltip: {callbacks: {label: function (c) { return c.raw.text || ''; }}}},
			},
		};
	}

	function frontier() {
		const list = frontiers();
		list.slice(0, maxFigures).forEach(function (f, i) {
			const names = f.a.name + ' and ' + f.b.name;
			fig.add('frontier', {id: i ? 'frontier-' + i : 'frontier', title: 'What ' + names + ' get from one machine',
				note: i ? undefined : note(Math.min(list.length, maxFigures), list.length, 'frontiers'),
				summary: 'Above the dashed line sharing gains, below it loses.',
				columns: [{key: 'frontier', head: 'frontier', text: true},
					{key: 'first_rps', head: f.a.name + '/s'}, {key: 'first_low', head: 'low'}, {key: 'first_high', head: 'high'},
					{key: 'second_rps', head: f.b.name + '/s'}, {key: 'second_low', head: 'low'}, {key: 'second_high', head: 'high'}],
				rows: function () {
					return f.points.map(function (p) {
						return [f.name, p[0].value, p[0].low, p[0].high, p[1].value, p[1].low, p[1].high];
					});
				},
				config: function () { return frontierConfig(f); }});
		});
	}

	/* ---- latency by percentile ---- */

	const nines = {1: '0', 2: '50', 10: '90', 20: '95', 100: '99', 1000: '99.9', 10000: '99.99', 100000: '99.999'};

	function nine(x) {
		return (100 * (1 - 1 / x)).toFixed(x < 100 ? 1 : x < 1000 ? 2 : 3);
	}

	function curveConfig(t, lines) {
		const sets = lines.map(function (l, k) {
			return {label: l.label, data: l.curve, showLine: true, borderColor: colour(k), backgroundColor: colour(k),
				borderWidth: 2, pointRadius: 0, pointHitRadius: 8};
		});
		const end = Math.max.apply(null, lines.map(function (l) { return l.curve[l.curve.length - 1].x; }));
		const at = 1 / (1 - t.sla_percentile / 100);
		/* a limit far above all answers would press the curves flat */
		const top = fig.largest(lines.flatMap(function (l) { return l.curve.map(function (p) { return p.y; }); }));
		const far = top > 0 && t.sla_limit_ms > 3 * top;
		if (t.sla_percentile > 0)
			sets.push(dashed('SLA: p' + t.sla_percentile + ' within ' + short(t.sla_limit_ms) + ' ms' + (far ? ', above the drawing' : ''),
				[{x: 1, y: t.sla_limit_ms}, {x: at, y: t.sla_limit_ms}, {x: at, y: 0}]));
		return {
			type: 'scatter', data: {datasets: sets},
			options: {
				interaction: {mode: 'nearest', axis: 'x', intersect: false},
				scales: {
					x: fig.axis('percentile', {
						type: 'logarithmic', beginAtZero: false, min: 1, max: Math.max(end, 20),
						afterBuildTicks: function (s) {
							s.ticks = Object.keys(nines).map(Number).filter(function (v) {
								return v <= s.max;
							}).map(function (v) { return {value: v}; });
						},
						ticks: {color: css('--soft'), maxRotation: 0, autoSkip: true,
							callback: function (v) { return nines[v] || ''; }},
					}),
					y: fig.axis('ms', far ? {max: 1.3 * top, ticks: {color: css('--soft'), maxRotation: 0,
						callback: function (v) { return v > 1.25 * top ? '' : short(v); }}} : {}),
				},
				plugins: {legend: fig.legend(), tooltip: {callbacks: {
					title: function () { return ''; },
					label: function (c) {
						return c.dataset.label + ': ' + nine(c.raw.x) + ' % within ' + short(c.raw.y) + ' ms';
					},
				}}},
			},
		};
	}

	function curves() {
		data.tenants.slice(0, maxFigures).forEach(function (t, i) {
			const all = data.lines.filter(function (l) { return l.tenant === t.name && l.curve && l.curve.length > 1; });
			const lines = all.slice(0, maxKinds);
			if (lines.length === 0)
				return;
			fig.add('curves', {id: 'curve-' + i, title: 'Latency of ' + t.name + ' at ' + short(t.demand_rps) + ' requests/s',
				note: [note(lines.length, all.length, 'sets'),
					i ? undefined : note(maxFigures, data.tenants.length, 'tenants', 'the table above has the percentiles of all.')
				].filter(Boolean).join(' '),
				summary: lines.map(function (l) {
					return l.label + ': half within ' + short(l.p50.ms) + ' ms, 99 % within ' + short(l.p99.ms) + ' ms';
				}).join('; ') + '.',
				columns: [{key: 'set', head: 'set', text: true}, {key: 'percentile', head: 'percentile'},
					{key: 'latency_ms', head: 'latency, ms'}],
				rows: function () {
					const rows = [];
					all.forEach(function (l) {
						l.curve.forEach(function (p) { rows.push([l.set, Number((100 * (1 - 1 / p.x)).toPrecision(8)), p.y]); });
					});
					return rows;
				},
				config: function () { return curveConfig(t, lines); }});
		});
	}

	/* ---- over time ---- */

	function withSeconds() {
		return data.sets.filter(function (s) { return s.seconds && s.seconds.length > 0; }).sort(function (a, b) {
			return b.members.length - a.members.length;
		});
	}

	function secondsConfig(set, key, unit) {
		const sets = set.seconds.map(function (x, k) {
			return {label: data.tenants[x.tenant].name, data: x[key].map(function (v, i) {
				return {x: i * set.seconds_each, y: v};
			}), showLine: true, stepped: false, borderColor: colour(k), backgroundColor: colour(k), borderWidth: 2,
				pointRadius: x[key].length > 60 ? 0 : 2, pointHitRadius: 8};
		});
		return {
			type: 'scatter', data: {datasets: sets.slice(0, maxKinds)},
			options: {
				interaction: {mode: 'nearest', axis: 'x', intersect: false},
				scales: {x: fig.axis('seconds since the measured part began'), y: fig.axis(unit)},
				plugins: {legend: fig.legend(), tooltip: {callbacks: {
					title: function () { return ''; },
					label: function (c) { return c.dataset.label + ': ' + short(c.raw.y) + ' ' + unit + ' in second ' + short(c.raw.x); },
				}}},
			},
		};
	}

	function seconds() {
		const list = withSeconds();
		if (list.length === 0)
			return;
		let shown = list[0];
		const columns = [{key: 'set', head: 'set', text: true}, {key: 'tenant', head: 'tenant', text: true},
			{key: 'second', head: 'second'}, {key: 'offered_rps', head: 'offered/s'}, {key: 'goodput_rps', head: 'goodput/s'},
			{key: 'failed_rps', head: 'failed/s'}, {key: 'mean_ms', head: 'mean, ms'}, {key: 'max_ms', head: 'largest, ms'}];
		const rows = function () {
			const all = [];
			shown.seconds.forEach(function (x) {
				x.good.forEach(function (g, i) {
					all.push([shown.name, data.tenants[x.tenant].name, i * shown.seconds_each, x.offered[i], g, x.failed[i],
						x.mean_ms[i], x.max_ms[i]]);
				});
			});
			return all;
		};
		const each = list[0].seconds_each > 1 ? ', means of ' + list[0].seconds_each + ' s' : '';
		const made = [['goodput', 'Good answers a second' + each, 'good', 'requests/s'],
			['mean-latency', 'Mean latency a second' + each, 'mean_ms', 'ms']].map(function (k) {
			return fig.add('series', {id: k[0], title: k[1], columns: columns, rows: rows,
				note: note(maxKinds, Math.max.apply(null, list.map(function (s) { return s.seconds.length; })), 'tenants'),
				summary: 'One line per tenant, over one trial at the demand rates.',
				config: function () { return secondsConfig(shown, k[2], k[3]); }});
		});
		const select = fig.element('select', {id: 'series-set'}, list.map(function (s, i) {
			return fig.element('option', {value: i, text: s.name});
		}));
		select.addEventListener('change', function () {
			shown = list[Number(select.value)];
			made.forEach(fig.update);
		});
		if (list.length > 1)
			document.getElementById('series-choice').append(
				fig.element('label', {for: 'series-set', text: 'Good answers and latency of the set '}), select);
	}

	function timeline(id, title, key, unit) {
		const all = data.sets.filter(function (s) { return s.timeline && s.timeline.some(function (p) { return p[key] !== null; }); });
		const name = function (s) { return s.members.length > 1 ? s.label : data.tenants[s.members[0]].name + ' alone'; };
		if (all.length === 0)
			return;
		fig.add('series', {id: id, title: title, note: note(Math.min(all.length, maxKinds), all.length, 'sets'),
			summary: 'One line per set, over one trial at the demand rates.',
			columns: [{key: 'set', head: 'set', text: true}, {key: 'seconds', head: 'seconds'}, {key: key, head: unit}],
			rows: function () {
				const rows = [];
				all.forEach(function (s) {
					s.timeline.forEach(function (p) { rows.push([s.name, p.t, p[key]]); });
				});
				return rows;
			},
			config: function () {
				return {
					type: 'scatter',
					data: {datasets: all.slice(0, maxKinds).map(function (s, k) {
						return {label: name(s), data: s.timeline.filter(function (p) { return p[key] !== null; }).map(function (p) {
							return {x: p.t, y: p[key]};
						}), showLine: true, borderColor: colour(k), backgroundColor: colour(k), borderWidth: 2,
							pointRadius: 0, pointHitRadius: 8};
					})},
					options: {
						interaction: {mode: 'nearest', axis: 'x', intersect: false},
						scales: {x: fig.axis('seconds since the load began'), y: fig.axis(unit)},
						plugins: {legend: fig.legend(), tooltip: {callbacks: {
							title: function () { return ''; },
							label: function (c) {
								return c.dataset.label + ': ' + short(c.raw.y) + ' ' + unit + ' at ' + short(c.raw.x) + ' s';
							},
						}}},
					},
				};
			}});
	}

	/* ---- interference ---- */

	/* A table is the figure: a row per tenant, a column per company it was measured in. */
	function heatMap() {
		const home = document.querySelector('[data-figures="interference"]');
		const sets = several().filter(function (s) {
			return data.lines.some(function (l) { return l.set === s.name && l.slowdown.value !== null; });
		});
		if (!home || sets.length === 0)
			return;
		const pairs = sets.filter(function (s) { return s.members.length === 2; });
		const rest = sets.filter(function (s) { return s.members.length > 2; });
		const shown = data.tenants.filter(function (t, i) {
			return sets.some(function (s) { return s.members.includes(i); });
		});
		const index = function (t) { return data.tenants.indexOf(t); };
		const columns = (pairs.length ? shown.map(function (t) {
			return {head: 'beside ' + t.name, set: function (row) {
				return pairs.find(function (s) {
					return row !== t && s.members.includes(index(row)) && s.members.includes(index(t));
				});
			}};
		}) : []).concat(rest.map(function (s) {
			return {head: 'in ' + s.label, set: function (row) { return s.members.includes(index(row)) ? s : undefined; }};
		}));
		const value = function (row, column) {
			const s = column.set(row), l = s && find(row.name, s.name);
			return l ? l.slowdown : none;
		};
		/* the scale ends at twice as slow, or at the worst */
		let top = 2;
		shown.forEach(function (t) {
			columns.forEach(function (c) { top = fig.largest([top, value(t, c).value]); });
		});
		const cell = function (t, c) {
			const v = value(t, c), td = fig.element('td', {class: 'heat'});
			if (v.value === null) {
				td.append(fig.element('span', {class: 'nothing', text: '–', 'aria-hidden': 'true'}),
					fig.element('span', {class: 'away', text: 'not measured'}));
				return td;
			}
			td.style.setProperty('--heat', Math.round(70 * Math.min(1, Math.max(0, (v.value - 1) / (top - 1)))) + '%');
			td.append(fig.element('b', {text: short(v.value)}));
			if (v.low !== null)
				td.append(fig.element('small', {text: '[' + short(v.low) + ', ' + short(v.high) + ']'}));
			return td;
		};
		const table = fig.element('table', {class: 'heat'}, [
			fig.element('caption', {class: 'away', text: 'Slowdown of each tenant (rows) by its company (columns)'}),
			fig.element('thead', {}, [fig.element('tr', {}, [fig.element('th', {scope: 'col', class: 'l', text: 'tenant'})].concat(
				columns.map(function (c) { return fig.element('th', {scope: 'col', text: c.head}); })))]),
			fig.element('tbody', {}, shown.map(function (t) {
				return fig.element('tr', {}, [fig.element('th', {scope: 'row', class: 'l', text: t.name})].concat(
					columns.map(function (c) { return cell(t, c); })));
			}))]);
		const rows = function () {
			const all = [];
			data.lines.forEach(function (l) {
				if (!l.alone)
					all.push([l.tenant, l.set, l.slowdown.value, l.slowdown.low, l.slowdown.high, l.slowdown_blocks]);
			});
			return all;
		};
		home.append(fig.element('figure', {class: 'chart wide', 'aria-labelledby': 'heat-caption'}, [
			fig.element('figcaption', {id: 'heat-caption', text: 'Slowdown of the median latency beside others, at the demand rates'}),
			fig.scroll('Slowdown beside others', table),
			fig.element('div', {class: 'tools'}, [fig.element('p', {class: 'note', text: '1: no slower than alone; the deeper the colour, the slower, up to ' +
				short(top) + ' times. Brackets: 95 % interval, from four blocks on. Infinite: half of a trial had no answer.'}),
				fig.csvButton('interference-map', 'slowdown beside others', [{key: 'tenant'}, {key: 'set'}, {key: 'slowdown'},
					{key: 'slowdown_low'}, {key: 'slowdown_high'}, {key: 'blocks'}], rows)])]));
	}

	/* ---- prediction against measurement ---- */

	function predictions() {
		const pairs = data.interference.filter(function (r) {
			return r.pairs_predict && r.pairs_predict.value !== null && r.slowdown.value !== null &&
				isFinite(r.pairs_predict.value) && isFinite(r.slowdown.value);
		}).map(function (r) {
			return {what: 'slowdown of ' + r.tenant + ' beside ' + r.beside, unit: 'times slower, by the product of pairs',
				predicted: r.pairs_predict, measured: r.slowdown};
		});
		return pairs.concat(data.predictions || []);
	}

	/* Values of very different size are told apart on logarithms only. */
	function isWide(values) {
		return Math.min.apply(null, values) > 0 && Math.max.apply(null, values) / Math.min.apply(null, values) > 20;
	}

	function predictionConfig(rows, unit) {
		const values = rows.flatMap(function (r) { return [r.predicted.value, r.measured.value]; });
		const wide = isWide(values), from = wide ? Math.min.apply(null, values) / 1.2 : 0;
		let top = 0;
		rows.forEach(function (r) {
			[r.predicted, r.measured].forEach(function (i) { top = fig.largest([top, i.value, i.high]); });
		});
		const scale = function (whose) {
			return fig.axis(whose + ', ' + unit, wide ? {type: 'logarithmic', beginAtZero: false, min: from, max: 1.2 * top,
				ticks: {color: css('--soft'), maxRotation: 0, autoSkip: true, maxTicksLimit: 6, callback: function (v) { return short(v); }}} :
				{suggestedMax: top});
		};
		return {
			type: 'scatter',
			data: {datasets: [{
				label: 'predicted against measured',
				data: rows.map(function (r) { return {x: r.predicted.value, y: r.measured.value, row: r}; }),
				whiskers: rows.map(function (r) {
					return {xLow: r.predicted.low, xHigh: r.predicted.high, yLow: r.measured.low, yHigh: r.measured.high};
				}), whiskerColor: css('--soft'),
				borderColor: colour(0), backgroundColor: colour(0), pointRadius: 4, clip: false,
			}, dashed('exactly as predicted', [{x: from, y: from}, {x: top, y: top}])]},
			options: {
				scales: {x: scale('predicted'), y: scale('measured')},
				plugins: {legend: fig.legend(), tooltip: {callbacks: {label: function (c) {
					const r = c.raw.row;
					return r ? r.what + ': predicted ' + fig.withInterval(r.predicted) + ', measured ' + fig.withInterval(r.measured) : '';
				}}}},
			},
		};
	}

	function prediction() {
		const all = predictions(), units = Array.from(new Set(all.map(function (r) { return r.unit; })));
		const said = note(Math.min(units.length, maxFigures), units.length, 'kinds of figures', 'the file of perseus predict has all.');
		units.slice(0, maxFigures).forEach(function (unit, i) {
			const rows = all.filter(function (r) { return r.unit === unit; });
			const errors = rows.map(function (r) { return Math.abs(r.predicted.value / r.measured.value - 1); });
			const mean = 100 * errors.reduce(function (a, b) { return a + b; }, 0) / errors.length;
			fig.add('prediction', {id: 'prediction-' + i, title: 'Predicted against measured, ' + unit, height: 22,
				summary: rows.length + ' figures, mean absolute error ' + mean.toFixed(1) + ' %.',
				note: rows.length + (rows.length === 1 ? ' figure' : ' figures') + ', mean absolute error ' + mean.toFixed(1) +
					' %. On the dashed line the prediction is right; above it, it was too low.' + (i || !said ? '' : ' ' + said),
				columns: [{key: 'what', head: 'what', text: true}, {key: 'unit', head: 'unit', text: true},
					{key: 'predicted', head: 'predicted'}, {key: 'predicted_low', head: 'low'}, {key: 'predicted_high', head: 'high'},
					{key: 'measured', head: 'measured'}, {key: 'measured_low', head: 'low'}, {key: 'measured_high', head: 'high'},
					{key: 'error', head: 'error'}],
				rows: function () {
					return rows.map(function (r) {
						const p = ends(r.predicted), m = ends(r.measured);
						return [r.what, r.unit, r.predicted.value, p.low, p.high, r.measured.value, m.low, m.high,
							r.predicted.value / r.measured.value - 1];
					});
				},
				config: function () { return predictionConfig(rows, unit); }});
		});
	}

	/* ---- the plan ---- */

	const provedColumns = [{key: 'machines'}, {key: 'instance_type'}, {key: 'tenant'}, {key: 'verdict'}, {key: 'percentile'}, {key: 'limit_ms'},
		{key: 'foreseen_ms'}, {key: 'foreseen_high_ms'}, {key: 'measured_ms'}, {key: 'measured_low_ms'}, {key: 'measured_high_ms'},
		{key: 'goodput_rps'}, {key: 'usd_per_hour'}, {key: 'usd_per_million_good'}];

	function provedRows() {
		return data.plan.verification.measured.map(function (x) {
			return [x.machines, x.instance_type, x.tenant, x.verdict, x.percentile, x.limit_ms, x.foreseen_ms, x.foreseen_high_ms,
				x.never ? Infinity : x.measured_ms.value, x.measured_ms.low, x.measured_ms.high, x.goodput_rps, x.usd_per_hour,
				x.usd_per_million_good];
		});
	}

	function plan() {
		if (!data.plan)
			return;
		const names = [['dedicated', 'each tenant on its own'], ['homogeneous', 'best of one type'], ['plan', 'the plan']];
		const list = names.filter(function (n) { return data.plan.placements[n[0]]; }).map(function (n) {
			return [n[1], data.plan.placements[n[0]].machine_count, data.plan.placements[n[0]].usd_per_hour];
		});
		if (data.plan.bound_usd_per_hour !== null)
			list.push(['lower bound', null, data.plan.bound_usd_per_hour]);
		const month = perseus.money.usdPerMonth;
		fig.add('plan', {id: 'plan-cost', wide: true, title: 'What the plan costs, $ a month', height: 4 + 3 * list.length,
			summary: list.map(function (r) { return r[0] + ' $' + month(r[2]).toFixed(2); }).join('; ') + '.',
			columns: [{key: 'placement', head: 'placement', text: true}, {key: 'machines', head: 'machines'},
				{key: 'usd_per_hour', head: '$/h'}, {key: 'usd_per_month', head: '$/month'}],
			rows: function () { return list.map(function (r) { return r.concat([month(r[2])]); }); },
			config: function () {
				return {
					type: 'bar',
					data: {labels: list.map(function (r) { return r[0]; }), datasets: [{
						data: list.map(function (r) { return month(r[2]); }), maxBarThickness: 28,
						backgroundColor: list.map(function (r, i) { return fig.fade(r[1] === null ? css('--soft') : colour(i), 0.75); }),
					}]},
					options: {indexAxis: 'y',
						scales: {x: fig.axis('$ a month'), y: fig.axis('', {grid: {display: false, borderColor: css('--line')},
							ticks: {color: css('--ink')}})},
						plugins: {legend: {display: false}, tooltip: {callbacks: {label: function (c) {
							return '$' + c.raw.toFixed(2) + ' a month';
						}}}}},
				};
			}});
		const columns = [{key: 'placement'}, {key: 'machine'}, {key: 'instance_type'}, {key: 'count'}, {key: 'usd_per_hour_each'},
			{key: 'tenant'}, {key: 'rps'}, {key: 'share'}, {key: 'percentile'}, {key: 'latency_ms'}, {key: 'latency_high_ms'}, {key: 'limit_ms'}];
		const rows = function () {
			const all = [];
			names.forEach(function (n) {
				const p = data.plan.placements[n[0]];
				(p ? p.machines : []).forEach(function (m) {
					m.tenants.forEach(function (t) {
						all.push([n[0], m.name, m.instance_type, m.count, m.usd_per_hour, t.tenant, t.rps, t.share, t.percentile, t.p99_ms,
							t.p99_high_ms, t.limit_ms]);
					});
				});
			});
			return all;
		};
		const tools = document.getElementById('plan-tools');
		tools.append(fig.csvButton('plan', 'the machines of the plan and their tenants', columns, rows, 'CSV: the plan'));
		if (data.plan.verification)
			tools.append(' ', fig.csvButton('plan-measured', 'the plan as it was measured', provedColumns, provedRows, 'CSV: as measured'));
	}

	savings();
	perseus.whatIf.start();
	perseus.even.start(data, null, data.what_if.widening_of_two);
	bars('peaks', 'Capacity alone and together', 'capacity_rps', 'requests/s at the SLA', 'capacity_rps');
	bars('costs', 'Cost alone and together', 'usd_per_million_inferences', '$ per million inferences', 'usd_per_million');
	frontier();
	curves();
	heatMap();
	seconds();
	timeline('cpu', 'Processors in use by the server, a trial per set', 'cpu', 'CPUs');
	timeline('memory', 'Memory of the server, the same trials', 'mib', 'MiB');
	prediction();
	plan();
	perseus.page.start();
})();
