'use strict';
/* The price sheets given with the report, as one list to choose a machine from. */
perseus.prices = (function () {
	const fig = perseus.figures, el = fig.element;
	const rows = [];

	/* "c6i.large, aws us-east-1, $0.085/h (2026-07-20)" */
	function label(r) {
		return r.instance_type + ', ' + r.provider + (r.region ? ' ' + r.region : '') + ', $' + r.usd_per_hour + '/h (' + r.source_date + ')';
	}

	function groups() {
		rows.length = 0;
		return fig.data.what_if.sheets.map(function (s) {
			return el('optgroup', {label: s.name}, s.rows.map(function (r) {
				rows.push(r);
				return el('option', {value: rows.length - 1, text: label(r)});
			}));
		});
	}

	/* choice makes a labelled list, or null when no sheet was given; `chosen` gets the row, or null for
	 * none. What is to be known of a row is said below it. */
	function choice(id, text, chosen) {
		if (fig.data.what_if.sheets.length === 0)
			return null;
		const select = el('select', {id: id}, [el('option', {value: '', text: 'as stated below'})].concat(groups()));
		const said = el('p', {id: id + '-said', class: 'note', 'aria-live': 'polite'});
		select.addEventListener('change', function () {
			const row = select.value === '' ? null : rows[Number(select.value)];
			said.textContent = row ? row.warnings.map(function (w) { return 'Mind: ' + w + '. '; }).join('') + 'Source: ' + row.source + '.' : '';
			chosen(row);
		});
		return el('div', {}, [el('p', {class: 'field'}, [el('label', {for: id, text: text}), select]), said]);
	}

	return {choice: choice};
})();
