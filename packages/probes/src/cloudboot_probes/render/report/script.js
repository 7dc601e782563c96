(() => {
  const root = document.documentElement, $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
  root.classList.add("js");
  $$(".tools[hidden]").forEach(e => e.hidden = false);
  // The page is written with everything open; only this script folds it, so nothing is lost without scripts.
  const all = $$("details:not([data-fixed])");
  const fold = to => all.forEach(d => d.open = to === "open" || (to === "start" && d.hasAttribute("data-keep")));
  fold("start");
  const rows = (body, shut) => { body.classList.toggle("shut", shut); $("button", body).setAttribute("aria-expanded", String(!shut)); };
  $$("tbody[data-fold]").forEach(b => rows(b, true));
  $$(".grp button").forEach(b => b.addEventListener("click", () => { const t = b.closest("tbody"); rows(t, !t.classList.contains("shut")); }));
  $$("[data-all]").forEach(b => b.addEventListener("click", () => {
    const part = b.closest("section"), open = b.dataset.all === "open";
    $$("details:not([data-fixed])", part).forEach(d => d.open = open);
    $$("tbody", part).forEach(t => $(".grp button", t) && rows(t, !open));
  }));
  const follow = () => { const e = location.hash.length > 1 && document.getElementById(location.hash.slice(1)); for (let d = e && e.closest("details"); d; d = d.parentElement.closest("details")) d.open = true; if (e) e.scrollIntoView(); };
  addEventListener("hashchange", follow); if (location.hash) follow();
  let was = [];
  addEventListener("beforeprint", () => { was = all.map(d => d.open); fold("open"); });
  addEventListener("afterprint", () => all.forEach((d, n) => d.open = was[n]));

  // Zoom: `view` is a list of [from, to, share of the width, quiet]; every bar is placed by it again.
  const table = $("table.reads"); if (!table) return;
  const { end, marks, start, wide } = JSON.parse(table.dataset.time), over = $(".over");
  const bars = $$("svg.row").map(svg => ({ svg, list: (svg.dataset.b || "").split(" ").filter(Boolean).map(s => s.split(",").map((v, n) => n < 3 ? +v : v)) }));
  const phases = { f: "firmware", l: "loader", k: "kernel" };
  const place = (view, t) => { let x = 0; for (const [a, b, w] of view) { if (t <= b) return x + w * Math.max(0, t - a) / (b - a); x += w; } return 1; };
  const steps = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 60];
  function draw(view, key) {
    const lo = view[0][0], hi = view[view.length - 1][1], X = t => 1000 * place(view, t), ticks = [], axis = [];
    let x = 0;
    for (const [a, b, w, quiet] of view) {
      if (quiet) axis.push(`<span class="qt" style="left:${x * 100}%;width:${w * 100}%">${(b - a).toFixed(1)} s quiet</span>`);
      else {
        const step = steps.find(s => (b - a) / s <= Math.max(1, w * 8)) || 60, digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
        for (let t = Math.ceil(a / step) * step; t <= b; t += step) {
          const at = place(view, t); ticks.push(at * 1000);
          if (at > .015 && at < .985) axis.push(`<span class="tk" style="left:${at * 100}%">${t.toFixed(digits)}</span>`);
        }
      }
      x += w;
    }
    const names = Object.keys(phases), from = { f: 0, l: marks.loader ?? end, k: marks.kernel ?? end };
    names.forEach((p, n) => {
      const a = X(Math.max(lo, from[p])) / 10, b = X(Math.min(hi, n < 2 ? from[names[n + 1]] : end)) / 10;
      if (b - a > .4) axis.unshift(`<span class="ph ${phases[p]}" style="left:${a}%;width:${b - a}%" title="${phases[p]}">${phases[p]}</span>`);
    });
    $(".axis", table).innerHTML = axis.join("");
    const quiet = view.filter(s => s[3]).map(([a, b]) => `M${X(a)} 0H${X(b)}V100H${X(a)}z`).join(""), grid = ticks.map(t => `M${t} 0V100`).join("");
    const lines = Object.values(marks).filter(m => m > lo && m < hi).map(m => `M${X(m)} 0V100`).join("");
    $("#grid").innerHTML = `<path class="q" d="${quiet}"/><path class="g" d="${grid}"/><path class="m" d="${lines}"/>`;
    for (const { svg, list } of bars) {
      const d = { f: "", l: "", k: "" };
      for (const [t, y, h, p] of list) {
        if (t > hi || t + wide < lo) continue;
        const a = X(Math.max(lo, t)), w = Math.max(3, X(Math.min(hi, t + wide)) - a);
        d[p] += `M${a.toFixed(1)} ${y}h${w.toFixed(1)}v${h}h-${w.toFixed(1)}z`;
      }
      svg.innerHTML = '<use href="#grid"/>' + names.map(p => d[p] && `<path class="${phases[p]}" d="${d[p]}"/>`).join("");
    }
    $(".wins", over).innerHTML = view.filter(s => !s[3]).map(([a, b]) => `<rect class="win" x="${a / end * 1000}" width="${Math.max(2, (b - a) / end * 1000)}" y="0" height="100"/>`).join("");
    $$("[data-view]").forEach(b => b.setAttribute("aria-pressed", String(b.dataset.view === key)));
    $(".now").textContent = key === "busy" ? "quiet time cut out" : `${lo.toFixed(3)} s to ${hi.toFixed(3)} s`;
    now = [lo, hi];
  }
  let now = [0, end], drag = null;
  const span = (a, b, key) => { const w = Math.min(end, Math.max(.004, b - a)); a = Math.min(Math.max(0, a), end - w); draw([[a, a + w, 1, 0]], key); };
  const show = key => key === "busy" ? draw(start, key) : span(...key.split("-").map(Number), key);
  $$("[data-view]").forEach(b => b.addEventListener("click", () => show(b.dataset.view)));
  const at = e => { const r = over.getBoundingClientRect(); return Math.min(1, Math.max(0, (e.clientX - r.left) / r.width)) * end; };
  over.addEventListener("pointerdown", e => { drag = at(e); over.setPointerCapture(e.pointerId); });
  over.addEventListener("pointermove", e => { if (drag !== null && Math.abs(at(e) - drag) > end / 400) span(Math.min(drag, at(e)), Math.max(drag, at(e))); });
  over.addEventListener("pointerup", () => drag = null);
  over.addEventListener("pointercancel", () => drag = null);
  over.addEventListener("dblclick", () => show("busy"));
  over.addEventListener("keydown", e => {
    const [a, b] = now, w = b - a, c = (a + b) / 2;
    const to = { ArrowLeft: [a - w / 4, b - w / 4], ArrowRight: [a + w / 4, b + w / 4], "+": [c - w / 4, c + w / 4], "=": [c - w / 4, c + w / 4], "-": [c - w, c + w] }[e.key];
    if (to) span(...to); else if (e.key === "0" || e.key === "Escape") show("busy"); else return;
    e.preventDefault();
  });
  addEventListener("beforeprint", () => show("busy"));
})();
