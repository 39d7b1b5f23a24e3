// Draws the chart of a report, and tells what is at a place of its time axis.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('chart-data').textContent);
  const box = document.getElementById('chart');
  const told = document.getElementById('told');
  const SVG = 'http://www.w3.org/2000/svg';
  const LEFT = 62, RIGHT = 10, CURVES = 200, ROW = 22, AXIS = 26, MARKS = 20;
  let begin = 0, end = data.end, at = null;

  const width = () => Math.max(box.clientWidth, 240);
  const x = (time) => LEFT + (time - begin) / (end - begin) * (width() - LEFT - RIGHT);
  const y = (probability) => 8 + (1 - probability) * (CURVES - 16);
  const css = (label) => `rgb(${(data.styles[label] || {colour: [204, 121, 167]}).colour})`;

  function add(parent, kind, attributes, words) {
    const made = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (words !== undefined) made.textContent = words;
    parent.appendChild(made);
    return made;
  }

  function curve(parent, rows, column, label, thick) {
    let path = '', drawing = false, last = -Infinity;
    for (const row of rows) {
      if (row[0] < begin - (end - begin) || row[0] > end + (end - begin)) continue;
      const value = row[column];
      const near = row[0] - last <= Math.max(0.5, 3 * data.end / 1500);
      last = row[0];
      if (value === null) { drawing = false; continue; }
      path += `${drawing && near ? 'L' : 'M'}${x(row[0]).toFixed(1)} ${y(value).toFixed(1)}`;
      drawing = true;
    }
    const dashes = (data.styles[label].dashes || []).map((part) => 1.8 * part).join(' ');
    add(parent, 'path', {
      d: path, fill: 'none', stroke: css(label), 'stroke-width': thick ? 5 : 1.8,
      'stroke-opacity': thick ? 0.35 : 1, 'stroke-dasharray': thick ? '' : dashes,
      'stroke-linejoin': 'round',
    });
  }

  function step(span, room) {
    const wanted = span / Math.max(room / 80, 1);
    const power = 10 ** Math.floor(Math.log10(wanted));
    return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= wanted);
  }

  function draw() {
    const marks = data.actions.length ? MARKS : 0;
    const bottom = CURVES + marks + ROW * data.rows.length;
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('width', width());
    svg.setAttribute('height', bottom + AXIS);
    svg.setAttribute('aria-hidden', 'true');
    const pattern = add(add(svg, 'defs', {}), 'pattern', {
      id: 'unmet', width: 6, height: 6, patternUnits: 'userSpaceOnUse',
      patternTransform: 'rotate(45)',
    });
    add(pattern, 'rect', {width: 2, height: 6, class: 'unmet'});
    const clip = add(svg.firstChild, 'clipPath', {id: 'inside'});
    const room = width() - LEFT - RIGHT;
    add(clip, 'rect', {x: LEFT, y: 0, width: room, height: bottom});
    for (const probability of [0, 0.5, 1]) {
      add(svg, 'line', {x1: LEFT, x2: width() - RIGHT, y1: y(probability), y2: y(probability),
        class: 'grid'});
      add(svg, 'text', {x: LEFT - 6, y: y(probability) + 4, 'text-anchor': 'end'}, probability);
    }
    const every = step(end - begin, room);
    for (let tick = Math.ceil(begin / every) * every; tick <= end + 1e-9; tick += every) {
      add(svg, 'line', {x1: x(tick), x2: x(tick), y1: 0, y2: bottom, class: 'grid'});
      add(svg, 'text', {x: x(tick), y: bottom + 16, 'text-anchor': 'middle'},
        `${+tick.toFixed(3)}${tick === 0 || every < 1e-9 ? ' s' : ''}`);
    }
    const inside = add(svg, 'g', {'clip-path': 'url(#inside)'});
    if (data.before) data.names.forEach((l, n) => curve(inside, data.before, n + 1, l, true));
    data.names.forEach((label, n) => curve(inside, data.curves, n + 1, label, false));
    for (const [time] of data.actions) {
      add(inside, 'line', {x1: x(time), x2: x(time), y1: 8, y2: bottom, class: 'action'});
      add(inside, 'path', {d: `M${x(time)} ${CURVES + 4}l6 6l-6 6l-6-6z`, class: 'mark'});
    }
    if (marks) add(svg, 'text', {x: LEFT - 6, y: CURVES + 15, 'text-anchor': 'end'}, 'robot');
    for (const [time] of data.broken) {
      add(inside, 'line', {x1: x(time), x2: x(time), y1: 0, y2: bottom, class: 'broken'});
    }
    data.rows.forEach((row, number) => {
      const top = CURVES + marks + number * ROW;
      add(svg, 'text', {x: LEFT - 6, y: top + 15, 'text-anchor': 'end'}, row.name);
      for (const [from, to, label, words, met] of row.parts) {
        if (to < begin || from > end) continue;
        const left = x(Math.max(from, begin)), right = x(Math.min(to, end));
        const long = Math.max(right - left, 1.5);
        const place = {x: left, y: top + 2, width: long, height: ROW - 4};
        add(inside, 'rect', {...place, fill: css(label), 'fill-opacity': words ? 0.45 : 1});
        if (words) {
          add(inside, 'rect', {...place, fill: met ? 'none' : 'url(#unmet)',
            class: met ? 'met' : 'notmet'});
        }
        const shown = words || (label === 'none' ? 'nobody' : label);
        if (7 * shown.length < long) {
          add(inside, 'text', {x: (left + right) / 2, y: top + 15, 'text-anchor': 'middle',
            class: 'on'}, shown);
        }
      }
    });
    if (at !== null) {
      add(svg, 'line', {x1: x(at), x2: x(at), y1: 0, y2: bottom, class: 'cursor'});
    }
    box.replaceChildren(svg);
  }

  function nearest(time) {
    const rows = data.curves;
    let low = 0, high = rows.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (rows[middle][0] <= time) low = middle; else high = middle;
    }
    return time - rows[low][0] <= rows[high][0] - time ? low : high;
  }

  function tell(time) {
    const row = data.curves[nearest(time)];
    at = row[0];
    const lap = data.laps.filter(([from]) => from <= at + 1e-6).pop() || data.laps[0];
    const parts = [`${at.toFixed(2)} s`, `stamp ${(lap[1] + at - lap[0]).toFixed(3)}`];
    for (const {name, parts: bands} of data.rows) {
      for (const [from, to, label, words] of bands) {
        // A band ends where the next begins, but the last one of a stretch with itself.
        const in_it = from <= at && (at < to || from === to || (at === to && !bands.some(
          (other) => other[0] === to)));
        if (in_it) parts.push(`${name}: ${words || label}`);
      }
    }
    const values = data.names.map((label, n) => row[n + 1] === null ? '' : `${label} ${row[n + 1].toFixed(2)}`);
    if (values.some(Boolean)) parts.push(values.filter(Boolean).join(', '));
    for (const [when, words, reason] of data.actions) {
      if (Math.abs(when - at) <= Math.max(0.15, 4 * (end - begin) / width())) {
        parts.push(`robot: ${words} (${reason})`);
      }
    }
    told.textContent = parts.join(' · ');
    draw();
  }

  function go(time) {
    const span = end - begin;
    if (time < begin || time > end) {
      begin = Math.min(Math.max(time - span / 2, 0), Math.max(data.end - span, 0));
      end = begin + span;
    }
    tell(time);
  }

  function zoom(factor) {
    const middle = at === null ? (begin + end) / 2 : at;
    const span = Math.min(Math.max((end - begin) * factor, 0.2), data.end);
    begin = Math.min(Math.max(middle - span / 2, 0), data.end - span);
    end = begin + span;
    draw();
  }

  function change(direction) {
    const begins = data.rows[0].parts.map((part) => part[0]);
    const here = at === null ? 0 : at;
    const next = direction > 0 ? begins.find((time) => time > here + 1e-6)
      : begins.filter((time) => time < here - 1e-6).pop();
    if (next !== undefined) go(next);
  }

  const point = (event) => {
    const place = event.clientX - box.getBoundingClientRect().left;
    const share = (place - LEFT) / (width() - LEFT - RIGHT);
    tell(begin + Math.min(Math.max(share, 0), 1) * (end - begin));
  };
  box.addEventListener('pointermove', point);
  box.addEventListener('pointerdown', point);
  box.addEventListener('keydown', (event) => {
    const here = nearest(at === null ? begin : at);
    const by = (count) => go(data.curves[
      Math.min(Math.max(here + count, 0), data.curves.length - 1)][0]);
    const does = {
      ArrowRight: () => by(event.shiftKey ? 10 : 1), ArrowLeft: () => by(event.shiftKey ? -10 : -1),
      Home: () => go(data.curves[0][0]), End: () => go(data.curves[data.curves.length - 1][0]),
      n: () => change(1), p: () => change(-1), '+': () => zoom(0.5), '-': () => zoom(2),
      0: () => { begin = 0; end = data.end; draw(); },
    }[event.key];
    if (does && !event.ctrlKey && !event.metaKey && !event.altKey) {
      does();
      event.preventDefault();
    }
  });
  document.addEventListener('click', (event) => {
    const wanted = event.target.closest('[data-time], [data-zoom]');
    if (!wanted) return;
    if (wanted.dataset.zoom === '0') { begin = 0; end = data.end; draw(); }
    else if (wanted.dataset.zoom) zoom(+wanted.dataset.zoom);
    else { go(+wanted.dataset.time); box.scrollIntoView({block: 'nearest'}); }
  });
  window.addEventListener('resize', draw);
  draw();
})();
