'use strict';
/* What every page has: the switch of colours, the list of sections, and figures that follow both. */
perseus.page = (function () {
	const root = document.documentElement, el = perseus.figures.element;
	const themes = [['auto', 'As the system'], ['light', 'Light'], ['dark', 'Dark']];

	/* A page opened from a file may have no storage. */
	function stored() {
		try {
			return localStorage.getItem('perseus-theme') || 'auto';
		} catch (e) {
			return 'auto';
		}
	}

	function store(theme) {
		try {
			localStorage.setItem('perseus-theme', theme);
		} catch (e) {
			/* then it lasts as long as the page */
		}
	}

	function apply(theme) {
		if (theme === 'auto')
			delete root.dataset.theme;
		else
			root.dataset.theme = theme;
	}

	function themeSwitch() {
		const box = document.getElementById('theme'), now = stored();
		box.append(el('legend', {class: 'away', text: 'Colours'}));
		themes.forEach(function (t) {
			const input = el('input', {type: 'radio', name: 'theme', value: t[0]});
			input.checked = t[0] === now;
			input.addEventListener('change', function () {
				store(t[0]);
				apply(t[0]);
				perseus.figures.drawAll();
			});
			box.append(el('label', {}, [input, el('span', {text: t[1]})]));
		});
		apply(now);
	}

	/* A section whose place stayed empty is not shown, unless something is drawn there later. */
	function dropEmpty() {
		document.querySelectorAll('[data-figures]').forEach(function (box) {
			const section = box.closest('section');
			if (box.children.length > 0 || box.dataset.later !== undefined)
				return;
			box.remove();
			if (section && section.dataset.optional !== undefined && !section.querySelector('table, figure, ul'))
				section.remove();
		});
	}

	/* What scrolls can be scrolled by keyboard. */
	function reachable() {
		document.querySelectorAll('.scroll, pre').forEach(function (box) {
			const table = box.querySelector('table');
			if (box.scrollWidth <= box.clientWidth + 1 && box.scrollHeight <= box.clientHeight + 1 && box.checkVisibility())
				return;
			box.tabIndex = 0;
			box.setAttribute('role', 'region');
			box.setAttribute('aria-label', table && table.caption ? table.caption.textContent : box.parentElement.firstChild.textContent);
		});
	}

	function contents() {
		const list = el('ul');
		document.querySelectorAll('main section[id] > h2').forEach(function (h) {
			const a = el('a', {href: '#' + h.parentElement.id, text: h.dataset.short || h.textContent});
			list.append(el('li', {}, [a]));
		});
		document.getElementById('contents').append(list);
	}

	/* Paper is white. */
	function print() {
		addEventListener('beforeprint', function () {
			apply('light');
			perseus.figures.drawForPaper();
		});
		addEventListener('afterprint', function () {
			apply(stored());
			perseus.figures.drawAll();
		});
	}

	function start() {
		themeSwitch();
		dropEmpty();
		contents();
		perseus.figures.drawAll();
		reachable();
		addEventListener('resize', reachable);
		print();
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', perseus.figures.drawAll);
	}

	return {start: start};
})();
