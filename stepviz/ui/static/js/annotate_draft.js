// What is said of an item at its end only (its note, flags, how it ends), notes on steps that are not rated yet, where its
// reader is, and how long its tab was in front: kept in this browser until the item is submitted.
(() => {
  const sv = window.stepviz;
  if (sv.draft) return;
  const NAP = 5; // s: a longer gap between two ticks is a machine that slept

  sv.draft = (who, slot) => {
    const name = `stepviz-draft/${who}/${slot}`;
    const d = { i: 1, q: 0, seconds: 0, note: "", flags: [], finish: "", notes: {} };
    try { Object.assign(d, JSON.parse(localStorage.getItem(name) ?? "{}")); } catch { /* private window, or not ours */ }
    const keep = () => { try { localStorage.setItem(name, JSON.stringify(d)); } catch { /* private window */ } };
    let at = performance.now(), over = false;
    const count = () => { // a tab that is hidden ticks, too, seldom: what passed then does not count
      const now = performance.now(), gone = (now - at) / 1000;
      at = now;
      if (!document.hidden && gone < NAP) d.seconds += gone;
    };
    const seen = () => { if (over) return; if (document.hidden) { d.seconds += Math.min(NAP, (performance.now() - at) / 1000); keep(); } at = performance.now(); };
    const leave = () => { if (!over) { count(); keep(); } };
    document.addEventListener("visibilitychange", seen);
    addEventListener("pagehide", leave);
    return {
      d,
      put(changes) { Object.assign(d, changes); keep(); },
      tick() { count(); keep(); return d.seconds; },
      close() { // another item is open now; what is kept stays
        leave();
        over = true;
        document.removeEventListener("visibilitychange", seen);
        removeEventListener("pagehide", leave);
      },
      drop() { over = true; try { localStorage.removeItem(name); } catch { /* private window */ } },
    };
  };
})();
