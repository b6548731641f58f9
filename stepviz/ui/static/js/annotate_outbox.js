// What is on its way to the server: kept in this browser until it is answered, over a reload, too, and sent again when
// the network or the server was away. Each has a key, by which the server knows what it has heard already.
(() => {
  const sv = window.stepviz;
  if (sv.outbox) return;
  const SLOWEST = 15, PATIENCE = 10000; // s between two tries, ms for an answer

  // {status: 0} where no answer came. `as`: who the page was opened by; the server refuses where that is not who signed in.
  sv.post = async (path, body) => {
    const stop = new AbortController(), timer = setTimeout(() => stop.abort(), PATIENCE);
    const sent = body && { method: "POST", body: JSON.stringify({ ...body, as: sv.whoAsks }), headers: { "Content-Type": "application/json" } };
    try {
      const response = await fetch("/stepviz/annotate/" + path, { ...sent, signal: stop.signal });
      return { status: response.status, answer: await response.json().catch(() => ({})) };
    } catch { return { status: 0, answer: {} }; } finally { clearTimeout(timer); }
  };
  const unique = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

  // who: its owner, for others may use this browser. on: answered(op, answer), refused(op, why), late(op) → whether it is
  // to be sent again, null where that could not be asked; changed(state, waiting, seconds).
  sv.outbox = (who, on) => {
    const mine = `stepviz-annotate/${who}/`, list = [];
    let busy = false, timer = 0, wait = 1, state = "saved", kept = true;
    const keep = (op) => { try { localStorage.setItem(mine + op.key, JSON.stringify(op)); } catch { kept = false; } };
    const tell = (now, seconds = 0) => { state = now; on.changed(now, list.length, seconds); };
    const done = (op) => {
      list.splice(list.indexOf(op), 1);
      try { localStorage.removeItem(mine + op.key); } catch { /* private window */ }
    };
    try { // what an earlier page left, of another tab, too: the keys make a second sending harmless
      for (const [name, text] of Object.entries(localStorage)) if (name.startsWith(mine)) list.push({ ...JSON.parse(text), tried: 1 });
      list.sort((a, b) => a.at - b.at);
    } catch { /* private window */ }

    async function pump() {
      if (busy) return;
      busy = true;
      clearTimeout(timer);
      while (list.length) {
        const op = list[0];
        tell("saving");
        op.tried += 1;
        const { status, answer } = await sv.post(op.kind, { ...op.body, slot: op.slot, key: op.key });
        if (status === 200) { done(op); wait = 1; on.answered(op, answer); continue; }
        if (status === 401) { tell("out"); break; }
        const again = status === 410 ? await on.late(op) : status === 0 || status >= 500 ? null : false;
        if (again) continue;
        if (again === null) { // the network, the server
          tell("failed", wait);
          timer = setTimeout(pump, wait * 1000);
          wait = Math.min(wait * 2, SLOWEST);
          break;
        }
        if (list.includes(op)) { done(op); on.refused(op, answer.error ?? `refused (${status})`); }
      }
      busy = false;
      if (!list.length) tell("saved");
    }
    addEventListener("online", () => list.length && pump());
    addEventListener("focus", () => state === "out" && pump()); // signed in again meanwhile, in another tab

    return {
      pump,
      add(kind, slot, body, study) {
        const op = { key: unique(), at: Date.now() + list.length / 1000, kind, slot, study, body, tried: 0 };
        list.push(op);
        keep(op);
        pump();
        return op;
      },
      of: (slot) => list.filter((op) => op.slot === slot),
      drop: (op) => { done(op); if (!list.length && !busy) tell("saved"); },
      get state() { return state; },
      get waiting() { return list.length; },
      get kept() { return kept; }, // whether the browser lets us keep anything
    };
  };
})();
