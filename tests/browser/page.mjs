/* Uses a report in a real browser as people do: reads it, clicks and types in every control, walks it
 * with the keyboard, prints it. Prints one line of JSON per check.
 *
 *   node page.mjs JOB.json
 *
 * JOB: chromium (program), modules (folder with playwright-core), page (file), kind (report, versus, policies,
 * open: a report with open ends, lost: one whose requests had no answer, large: many sets; these are
 * looked at only), out (folder of screenshots), name (of the screenshots), report (the JSON of perseus
 * report, for kind report), even (those of perseus report break-even, likewise), cases (of unit_report_page_cost --print; may be absent).
 */
import {readFileSync, mkdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {inside} from './inside.mjs';

const job = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const {chromium} = createRequire(path.join(job.modules, 'x.js'))('playwright-core');
const url = 'file://' + job.page;

function say(check, ok, detail) {
	console.log(JSON.stringify({check: check, ok: Boolean(ok), detail: detail === undefined ? '' : String(detail)}));
}

function same(a, b, tolerance) {
	if (a === b || (Number.isNaN(a) && Number.isNaN(b)))
		return true;
	return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b), 1e-9);
}

/* ---- pages ---- */

/* So many controls a page has at least. */
const least = job.kind === 'policies' ? 5 : 10;
const troubles = [];
/* Controls that were used on any page of the walk, by their ids. */
const used = new Set();

async function open(browser, options) {
	const context = await browser.newContext(Object.assign({acceptDownloads: true}, options));
	await context.exposeFunction('perseusUse', function (id) { used.add(id); });
	const page = await context.newPage();
	page.setDefaultTimeout(30000);
	page.on('console', function (m) {
		if (m.type() === 'error' || m.type() === 'warning')
			troubles.push('console: ' + m.text());
	});
	page.on('pageerror', function (e) { troubles.push('error: ' + e.message); });
	page.on('request', function (r) {
		if (!r.url().startsWith('file://' + job.page) && !r.url().startsWith('blob:') && !r.url().startsWith('data:'))
			troubles.push('asked for ' + r.url());
	});
	await page.goto(url);
	await page.evaluate(inside);
	return page;
}

async function shot(page, name) {
	await page.screenshot({path: path.join(job.out, job.name + '-' + name + '.png'), fullPage: true});
}

/* ---- what must hold of the page as it stands ---- */

async function structure(page) {
	for (const [check, found] of Object.entries(await page.evaluate('perseusTest.structure()')))
		say(check, found.length === 0, found.slice(0, 5).join('; '));
	const drawn = await page.evaluate('perseusTest.blank()');
	say('every figure is drawn', drawn.canvases > 0 && drawn.blank.length === 0, drawn.blank.join(' ') || drawn.canvases + ' canvases');
}

async function legible(page, name) {
	const faint = await page.evaluate('perseusTest.faint()');
	say('text has contrast, ' + name, faint.length === 0, faint.slice(0, 5).join('; '));
	const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
	say('nothing sticks out, ' + name, wide <= 0, wide + ' px');
	const cut = await page.evaluate('perseusTest.cut()');
	say('no label is cut, ' + name, cut.length === 0, cut.slice(0, 5).join('; '));
}

/* ---- controls ---- */

async function themes(page) {
	const background = function () { return page.evaluate('getComputedStyle(document.body).backgroundColor'); };
	const seen = {};
	for (const theme of ['light', 'dark', 'auto']) {
		await page.locator('#theme input[value=' + theme + ']').check({force: true});
		seen[theme] = await background();
	}
	say('the switch of colours switches', seen.light !== seen.dark && seen.auto === seen.light, JSON.stringify(seen));
	await page.locator('#theme input[value=dark]').check({force: true});
	await page.reload();
	await page.evaluate(inside);
	say('the choice of colours stays', await background() === seen.dark);
	await page.locator('#theme input[value=auto]').check({force: true});
}

async function links(page) {
	const dead = await page.evaluate('perseusTest.deadLinks()');
	say('links lead somewhere', dead.links > 3 && dead.dead.length === 0, dead.dead.join(' ') || dead.links + ' links');
	const last = page.locator('nav a').last();
	await last.click();
	say('a link of the contents scrolls', await page.evaluate('scrollY') > 200);
}

function records(text) {
	return text.split('\r\n').filter(function (l) { return l !== ''; });
}

/* Chromium asks before a tab saves more than ten files in a short time, and here nobody answers: the
 * rest is saved from tabs of their own. */
const FILES_OF_A_TAB = 5;

async function files(browser, like) {
	let page = await open(browser, like), rows = 0;
	let buttons = page.locator('button.csv');
	const n = await buttons.count();
	for (let i = 0; i < n; i++) {
		if (i > 0 && i % FILES_OF_A_TAB === 0) {
			await page.close();
			page = await open(browser, like);
			buttons = page.locator('button.csv');
		}
		const id = await buttons.nth(i).getAttribute('data-csv');
		const [download] = await Promise.all([page.waitForEvent('download'), buttons.nth(i).click()]);
		const lines = records(readFileSync(await download.path(), 'utf8'));
		const columns = lines[0].split(',').length;
		const even = lines.every(function (l) { return l.replace(/"[^"]*"/g, '').split(',').length === columns; });
		say('CSV of ' + id, download.suggestedFilename() === id + '.csv' && lines.length > 1 && columns > 1 && even,
			lines.length - 1 + ' rows');
		rows += lines.length - 1;
	}
	const figures = await page.locator('figure.chart').count();
	say('every figure has its CSV', n >= figures && rows > figures, n + ' files, ' + figures + ' figures');
	await page.close();
}

async function tables(page) {
	const figures = page.locator('figure.chart:has(details)'), n = await figures.count();
	const empty = [];
	for (let i = 0; i < n; i++) {
		const figure = figures.nth(i), summary = figure.locator('summary');
		await summary.click();
		await figure.locator('details tbody tr').first().waitFor();
		const id = await figure.locator('canvas').getAttribute('id');
		const want = await page.evaluate(function (f) { return perseusTest.rowsOf(f); }, id);
		const got = await figure.locator('details tbody tr').count();
		if (got !== want || got === 0)
			empty.push(id);
		await summary.click();
	}
	say('every drawing has its table', n > 0 && empty.length === 0, empty.join(' ') || n + ' tables');
	for (const summary of await page.locator('main section > details > summary').all()) {
		await summary.click();
		say('opens: ' + await summary.textContent(), await summary.evaluate(function (e) {
			return e.parentElement.open && e.parentElement.innerText.length > 40;
		}));
		await summary.click();
	}
}

/* ---- what a report is made of ---- */

const PARTS = [
	['a sentence that answers', '.verdict p'],
	['savings with intervals', '#savings-section canvas#savings, #savings-section td small'],
	['the frontier', '#frontier-section canvas#frontier'],
	['bars of capacity and cost', '#capacity canvas#peaks', '#capacity canvas#costs'],
	['an interference map', '#interference table.heat td.heat b'],
	['latency by percentile', '#demand canvas#curve-0', '#demand canvas#curve-1'],
	['time series', '#series canvas#goodput', '#series canvas#mean-latency', '#series canvas#cpu', '#series canvas#memory'],
	['prediction against measurement', '#predictions canvas#prediction-0', '#predictions canvas#prediction-2', '#predictions table'],
	['policies for the memory of models', '#policies canvas#policies-drawing', '#policies table', '#policies details'],
	['the plan before and after, as machines', '#plan ul.machines li', '#plan canvas#plan-cost'],
	['the plan as it was measured', '#plan span.missed', '#plan button[data-csv=plan-measured]'],
	['controls of prices, spot share, rates and sheets', '#wi-price', '#wi-spot', '#wi-share', '#wi-rates input', '#wi-machine'],
	['break-even', '#be-who', '#be-second', '#be-capacity'],
	['methods', '#methods dl.formulas dd'],
	['campaign file and manifest', '#campaign details pre'],
];

async function parts(page) {
	for (const [what, ...selectors] of PARTS) {
		const missing = [];
		for (const s of selectors)
			if (await page.locator(s).count() === 0)
				missing.push(s);
		say('has ' + what, missing.length === 0, missing.join(', '));
	}
	const placements = await page.locator('#plan .placement h3').allTextContents();
	say('both before and after', placements.length === 2 && placements[0].startsWith('Before') && placements[1].startsWith('After'), placements.join('; '));
}

/* ---- what if ---- */

function rowOf(rows, what) {
	return rows.find(function (r) { return r[0] === what; });
}

async function whatIfRows(page) {
	return page.evaluate('JSON.parse(document.documentElement.dataset.whatIf)');
}

function sameInterval(row, i) {
	/* an end of infinity is null in both */
	return row && same(row[1], i.value, 1e-9) && same(row[2], i.low, 1e-9) && same(row[3], i.high, 1e-9);
}

async function asReported(page) {
	const rows = await whatIfRows(page), c = job.report.comparisons[0];
	say('untouched, the controls say what was reported: machines', sameInterval(rowOf(rows, 'machines apart'), c.machines_apart) &&
		sameInterval(rowOf(rows, 'machines together'), c.machines_together));
	say('untouched: savings', sameInterval(rowOf(rows, 'machine saving'), c.machine_saving) &&
		sameInterval(rowOf(rows, 'fluid saving at these rates'), c.fluid_saving) &&
		sameInterval(rowOf(rows, 'fluid saving at full load'), c.full_load_saving));
	say('untouched: money', same(rowOf(rows, 'cost apart')[1], c.apart_usd_per_month, 1e-9) &&
		same(rowOf(rows, 'cost together')[1], c.together_usd_per_month, 1e-9));
	say('untouched: dollars per million', job.report.lines.every(function (l) {
		return sameInterval(rowOf(rows, 'cost of ' + l.tenant + ', ' + l.label), l.usd_per_million_inferences);
	}));
}

/* Ends that no trial bounds are open in texts, and lines to the edge in drawings. */
async function openEnds(page) {
	await asReported(page);
	const text = await page.locator('#wi-out').innerText();
	say('savings are open', /fluid saving at full load\t[^\n]*\[open, open\]/.test(text), text.replace(/\n/g, '; '));
	say('and so are costs', /cost of resnet50, alone\t[^\n]*\[open, [0-9.]+\]/.test(text));
	const body = await page.locator('main').innerText();
	say('no end is a number nobody measured', !/infinit|NaN/.test(body), (body.match(/.*(infinit|NaN).*/) || [''])[0]);
}

async function whatIf(page) {
	await asReported(page);
	const before = await whatIfRows(page), price = job.report.price.usd_per_hour;
	const cost = function (rows) { return rowOf(rows, 'cost together')[1]; };
	await page.locator('#wi-price').fill(String(2 * price));
	say('twice the price costs twice', same(cost(await whatIfRows(page)), 2 * cost(before), 1e-12));
	await page.locator('#wi-spot').fill(String(price));
	await page.locator('#wi-share').fill('50');
	say('half of it spot at half the price', same(cost(await whatIfRows(page)), 1.5 * cost(before), 1e-12));
	await page.locator('#wi-spot').fill('-3');
	say('a price below 0 is marked', await page.locator('#wi-spot').getAttribute('aria-invalid') === 'true' &&
		!rowOf(await whatIfRows(page), 'cost together'));
	const rates = page.locator('#wi-rates input');
	for (let i = 0; i < await rates.count(); i++)
		await rates.nth(i).fill(String(10 * Number(await rates.nth(i).inputValue())));
	const ten = await whatIfRows(page);
	say('ten times the rates need more machines', rowOf(ten, 'machines apart')[1] > rowOf(before, 'machines apart')[1] &&
		rowOf(ten, 'machines together')[1] > 1, JSON.stringify(rowOf(ten, 'machines together')));
	for (let i = 0; i < await rates.count(); i++)
		await rates.nth(i).fill('0');
	say('no rates at all: it says what it needs', (await page.locator('#wi-said').textContent()).includes('Give every tenant a rate'));
	await page.locator('#wi-reset').click();
	say('reset brings back what was measured', JSON.stringify(await whatIfRows(page)) === JSON.stringify(before));
}

/* Another sheet, chosen by keyboard or mouse: its prices are taken, and what to mind is said. */
async function sheets(page) {
	const before = await whatIfRows(page), select = page.locator('#wi-machine');
	const label = await select.locator('option', {hasText: 'c3-highcpu-4, gcp'}).first().textContent();
	await select.selectOption({label: label});
	const price = Number(await page.locator('#wi-price').inputValue());
	const ratio = rowOf(await whatIfRows(page), 'cost apart')[1] / rowOf(before, 'cost apart')[1];
	say('a row of another sheet is taken', label.includes('$' + price + '/h') && same(ratio, price / job.report.price.usd_per_hour, 1e-9), label);
	say('and its spot price', Number(await page.locator('#wi-spot').inputValue()) > 0);
	say('that it is another machine is said', (await page.locator('#wi-machine-said').textContent()).includes('the slice is not the instance'));
	await page.locator('#wi-reset').click();
	say('reset forgets the sheet', await select.inputValue() === '' && JSON.stringify(await whatIfRows(page)) === JSON.stringify(before));
}

/* The same crossings as perseus report break-even. */
async function breakEven(page) {
	const rows = function () { return page.evaluate('JSON.parse(document.documentElement.dataset.breakEven)'); };
	const stated = job.kind === 'report';
	if (stated)
		say('a break-even says what it needs', (await page.locator('#be-said').textContent()).startsWith('Give what the other machine'));
	for (const even of job.even) {
		await page.locator('#be-who').selectOption({index: even.index});
		await page.locator('#be-second').fill(String(even.second.usd_per_hour));
		if (stated)
			await page.locator('#be-capacity').fill(String(even.second.capacity_rps.value));
		const got = await rows(), want = even.crossings;
		const wrong = want.filter(function (x, i) {
			const r = got[i];
			return !r || !same(r[0], x.rps.value, 1e-9) || !same(r[1], x.rps.low, 1e-9) || !same(r[2], x.rps.high, 1e-9) ||
				r[3] !== (stated ? {first: 'measured', second: 'other', equal: 'equal'}[x.then_side] : x.then_side) || (r[4] === 'yes') !== x.sure;
		});
		say('the crossings of ' + (even.tenant || even.set) + ' are those of the command', want.length > 0 && got.length === want.length && wrong.length === 0,
			got.length + ' of ' + want.length + '; ' + JSON.stringify(wrong[0] || ''));
	}
	const before = await rows(), at = before[0][0];
	await page.locator('#be-up-to').fill(String(at * 1.001));
	const near = await rows();
	say('rates up to a limit only', near.length > 0 && near.length < before.length && near.every(function (r) { return r[0] <= at * 1.001; }),
		near.length + ' of ' + before.length);
	await page.locator('#be-up-to').fill('');
	const first = await page.locator('#be-first').inputValue();
	await page.locator('#be-first').fill(String(Number(first) / 1000));
	say('another price of the first machine', JSON.stringify(await rows()) !== JSON.stringify(before));
	await page.locator('#be-first').fill(first);
	say('and back', JSON.stringify(await rows()) === JSON.stringify(before));
	const summary = page.locator('figure:has(#break-even-curve) summary');
	await summary.click();
	await summary.click();
	say('its curve is drawn, with a table and a file', await page.locator('#break-even-curve').isVisible() &&
		await page.evaluate('perseusTest.rowsOf("break-even-curve")') === 101);
	const [download] = await Promise.all([page.waitForEvent('download'), page.locator('button[data-csv=break-even]').click()]);
	say('and so are the crossings', records(readFileSync(await download.path(), 'utf8')).length === (await rows()).length + 1);
	if (!stated)
		return;
	await page.locator('#be-machine').selectOption({index: 1});
	say('its price may be of a sheet', Number(await page.locator('#be-second').inputValue()) > 0);
	await page.locator('#be-capacity').fill('');
	say('without a capacity there is none', (await rows()).length === 0 && !(await page.locator('#break-even-curve').isVisible()));
}

/* Which of several sets the controls are about. */
async function sets(page) {
	const select = page.locator('#wi-set'), n = await select.locator('option').count();
	const rates = function () { return page.locator('#wi-rates label').allTextContents(); };
	const before = await rates(), rows = await whatIfRows(page);
	await select.selectOption({index: n - 1});
	const after = await rates();
	say('another set has other rates', n > 1 && after.length > 0 && JSON.stringify(after) !== JSON.stringify(before), after.join(', '));
	await page.locator('#wi-rates input').first().fill('1000');
	say('and other machines', rowOf(await whatIfRows(page), 'machines apart')[1] > rowOf(rows, 'machines apart')[1]);
	await page.locator('#wi-reset').click();
	say('reset goes back to the first set', JSON.stringify(await rates()) === JSON.stringify(before) &&
		JSON.stringify(await whatIfRows(page)) === JSON.stringify(rows));
}

/* Of many sets some are drawn, and it is said how many. */
async function large(page) {
	const notes = await page.locator('figure.chart > .note').allTextContents();
	for (const what of ['savings', 'sets', 'frontiers', 'tenants'])
		say('what is not drawn is said: ' + what, notes.some(function (n) { return new RegExp('\\d+ of \\d+ ' + what + ' are drawn;').test(n); }));
	await sets(page);
	const top = await page.evaluate(function () {
		perseus.figures.data.tenants[0].sla_limit_ms = 1e6;
		return perseus.figures.all.find(function (f) { return f.id === 'curve-0'; }).config().options.scales.y.max;
	});
	say('a limit far above all answers does not press the curves flat', top > 0 && top < 1e5, top);
}

/* Who was never answered is infinitely slow, not unmeasured. */
async function lost(page) {
	const cells = await page.locator('#interference td.heat b').allTextContents();
	say('infinite slowdown is shown', cells.includes('infinite'), cells.join(' '));
	const tables = await page.locator('#demand td').allTextContents();
	say('as in the table', tables.includes('infinite'));
	const [download] = await Promise.all([page.waitForEvent('download'), page.locator('button[data-csv=interference-map]').click()]);
	say('and in its file', records(readFileSync(await download.path(), 'utf8')).some(function (l) { return l.includes(',inf,'); }));
}

async function everyControl(page) {
	const want = await page.evaluate('perseusTest.controls()'), left = want.filter(function (id) { return !used.has(id); });
	say('every control was used', want.length > least && left.length === 0, left.join(' ') || want.length + ' controls');
}

async function selects(page) {
	const before = await page.evaluate('perseusTest.rowsText("goodput")');
	const select = page.locator('#series-set'), n = await select.locator('option').count();
	say('the series have a choice of sets', n > 1, n + ' sets');
	await select.selectOption({index: n - 1});
	say('another set draws another series', before !== await page.evaluate('perseusTest.rowsText("goodput")'));
}

/* ---- the same formulas in C ---- */

function fromText(v) {
	return v === 'inf' ? Infinity : v === '-inf' ? -Infinity : v === 'nan' ? NaN : v;
}

function numbers(v) {
	if (Array.isArray(v))
		return v.map(numbers);
	if (v !== null && typeof v === 'object')
		return Object.fromEntries(Object.entries(v).map(function (e) { return [e[0], numbers(e[1])]; }));
	return fromText(v);
}

function differs(got, want) {
	if (want !== null && typeof want === 'object')
		return ['value', 'low', 'high'].some(function (k) { return differs(got[k], want[k]); });
	if (want === null || got === null)
		return got !== want;
	return !same(got, want, 1e-12);
}

/* Playwright carries NaN and infinities to the page and back. */
async function formulas(page) {
	const cases = numbers(job.cases), wrong = {};
	const got = await page.evaluate(function (all) {
		return all.map(function (c) { return perseusTest.formulas(c); });
	}, cases);
	cases.forEach(function (c, i) {
		Object.keys(c.results).forEach(function (k) {
			wrong[k] = wrong[k] || [];
			if (differs(got[i][k], c.results[k]))
				wrong[k].push(i + ': ' + JSON.stringify(got[i][k]) + ' instead of ' + JSON.stringify(c.results[k]));
		});
	});
	for (const k of Object.keys(wrong))
		say('as in C, ' + cases.length + ' cases: ' + k, wrong[k].length === 0, wrong[k].slice(0, 3).join('; '));
}

/* ---- keyboard, paper ---- */

async function keyboard(page) {
	/* a page just opened starts at its top */
	await page.reload();
	await page.evaluate(inside);
	const want = await page.evaluate('perseusTest.stops()'), seen = new Set(), bad = [];
	for (let i = 0; i < 3 * want.length + 20; i++) {
		await page.keyboard.press('Tab');
		const at = await page.evaluate('perseusTest.focused()');
		if (!at)
			break;
		if (!at.shown || !at.name)
			bad.push(at.id + (at.shown ? ' has no name' : ' shows no focus'));
		seen.add(at.id);
	}
	const missed = want.filter(function (id) { return !seen.has(id); });
	say('Tab reaches every control', want.length > least && missed.length === 0, missed.slice(0, 5).join(' ') || seen.size + ' stops');
	say('focus is seen and named', bad.length === 0, bad.slice(0, 5).join('; '));
	const button = page.locator('button.csv').first();
	await button.focus();
	const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
	say('Enter presses a button', Boolean(download));
	await page.locator('#theme input[value=auto]').focus();
	await page.keyboard.press('ArrowRight');
	say('arrows switch the colours', await page.evaluate('document.documentElement.dataset.theme') === 'light');
	await page.keyboard.press('ArrowLeft');
}

async function paper(page) {
	const file = path.join(job.out, job.name + '-print.pdf');
	const pdf = await page.pdf({path: file, format: 'A4', printBackground: true});
	const pages = (pdf.toString('latin1').match(/\/Type\s*\/Page[^s]/g) || []).length;
	say('prints', pdf.subarray(0, 5).toString() === '%PDF-' && pages > 1 && pages < 15, pages + ' pages, ' + pdf.length + ' bytes');
	say('after printing the colours are back', await page.evaluate('document.documentElement.dataset.theme') === undefined);
	await page.emulateMedia({media: 'print'});
	await page.setViewportSize({width: 720, height: 1000});
	await page.evaluate('dispatchEvent(new Event("beforeprint"))');
	say('paper is white', await page.evaluate('perseusTest.luminance(document.body)') > 0.9);
	await shot(page, 'print');
	const sticking = await page.evaluate('perseusTest.sticking(1080)');
	say('a drawing made for the window fits the paper', sticking.length === 0, sticking.join(' '));
}

/* ---- all of it ---- */

async function all(browser) {
	const desk = {viewport: {width: 1280, height: 900}, colorScheme: 'light'};
	const page = await open(browser, desk);
	await structure(page);
	await legible(page, 'light');
	await shot(page, 'light');
	const brief = {open: openEnds, lost: lost, large: large}[job.kind];
	if (brief) {
		await brief(page);
		say('no errors, nothing asked of the network', troubles.length === 0, troubles.slice(0, 5).join('; '));
		return;
	}
	if (job.kind === 'report')
		await parts(page);
	await themes(page);
	await links(page);
	await files(browser, desk);
	await tables(page);
	if (job.kind === 'report') {
		await whatIf(page);
		await sheets(page);
		await breakEven(page);
		await selects(page);
	}
	if (job.kind === 'versus')
		await breakEven(page);
	if (job.cases)
		await formulas(page);
	await keyboard(page);
	await everyControl(page);
	const dark = await open(browser, {viewport: {width: 1280, height: 900}, colorScheme: 'dark'});
	await legible(dark, 'dark');
	await shot(dark, 'dark');
	await paper(dark);
	const phone = await open(browser, {viewport: {width: 400, height: 800}, colorScheme: 'light', deviceScaleFactor: 2});
	if (job.kind === 'report') {
		await phone.locator('#wi-machine').selectOption({index: 3});
		await phone.locator('#be-machine').selectOption({index: 3});
		await phone.locator('#be-capacity').fill('100');
		const form = await phone.evaluate('Math.max(...Array.from(document.querySelectorAll(".controls")).map(function (f) { return f.getBoundingClientRect().right; })) - innerWidth');
		say('the controls fit a phone with a sheet chosen', form <= 0, form + ' px');
	}
	await legible(phone, 'phone');
	await shot(phone, 'phone');
	say('no errors, nothing asked of the network', troubles.length === 0, troubles.slice(0, 5).join('; '));
}

mkdirSync(job.out, {recursive: true});
const browser = await chromium.launch({executablePath: job.chromium, args: ['--no-sandbox', '--disable-gpu']});
try {
	await all(browser);
	say('the walk came to its end', true);
} catch (e) {
	say('the walk came to its end', false, e.stack);
} finally {
	await browser.close();
}
