// The threshold of a step table, or of a track alone (.cut): a line that is dragged, or moved by keys, and the first
// scored row at or below it. Nothing of this asks the server: a page hears of a new value by sv.on_threshold(t), keeps it
// in its address, and asks for what the server alone can tell.
(() => {
  const sv = window.stepviz;
  if (sv.threshold) return;
  const TAB = ":is(.tab.s, .cut)";
  let chosen = null; // what the reader set; null: what the server drew, from the address
  const written = (t) => (t <= 0 ? "0" : t >= 1 ? "1" : t.toFixed(2).slice(1));

  function set(tab, to) {
    const t = Math.round(100 * Math.min(1, Math.max(0, to))) / 100, hand = tab.querySelector(".hand");
    tab.style.setProperty("--t", t);
    hand.setAttribute("aria-valuenow", t);
    hand.querySelector("b").textContent = written(t);
    let found = false;
    for (const row of tab.querySelectorAll(".row[data-score]")) {
      const here = !found && +row.dataset.score <= t;
      found ||= here;
      row.classList.toggle("ppit", here);
      if (here) row.querySelector(".tag.pred span").textContent = written(t);
    }
    return t;
  }
  function choose(tab, to) {
    chosen = set(tab, to);
    sv.on_threshold?.(chosen);
  }
  const value = (tab) => +tab.querySelector(".hand").getAttribute("aria-valuenow");
  const scored = () => document.querySelector(TAB + ":not([aria-busy])");

  let dragged = null;
  const track = (tab) => tab.querySelector(":is(.row[data-i], .cut) .trk > div").getBoundingClientRect();
  document.addEventListener("pointerdown", (e) => {
    const grip = e.button === 0 && e.target.closest(TAB + " :is(.thr, .hand)");
    if (!grip) return;
    e.preventDefault(); // no text is selected on the way
    dragged = grip.closest(TAB);
    grip.setPointerCapture(e.pointerId);
    dragged.querySelector(".hand").focus({ preventScroll: true });
    dragged.classList.add("dragged");
  });
  document.addEventListener("pointermove", (e) => {
    if (!dragged) return;
    const { left, width } = track(dragged);
    choose(dragged, (e.clientX - left) / width);
  });
  const release = () => { dragged?.classList.remove("dragged"); dragged = null; };
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, release);

  const MOVES = {
    ArrowLeft: (t) => t - .01, ArrowDown: (t) => t - .01, ArrowRight: (t) => t + .01, ArrowUp: (t) => t + .01,
    PageDown: (t) => t - .1, PageUp: (t) => t + .1, Home: () => 0, End: () => 1,
  };
  document.addEventListener("keydown", (e) => {
    const move = MOVES[e.key];
    if (!move || e.ctrlKey || e.metaKey || e.altKey || !e.target.matches?.(TAB + " .hand")) return;
    e.preventDefault();
    e.stopImmediatePropagation(); // the arrows are the table's own elsewhere
    const tab = e.target.closest(TAB);
    choose(tab, move(value(tab)));
  });

  sv.threshold = {
    by: (step) => { const tab = scored(); if (tab) choose(tab, value(tab) + step); }, // from any key of the page
    keep() { // after the server drew anew; whether it had drawn another value
      const tab = scored(), drawn = tab && value(tab);
      return !!tab && chosen !== null && set(tab, chosen) !== drawn;
    },
    chosen: () => chosen,
    forget: () => { chosen = null; },
  };
})();
