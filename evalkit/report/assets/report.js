// @ts-check
// The live part of a report: filter, list, one case with its word diff, decisions to copy.
// Whatever a model wrote reaches the page as text nodes only.
"use strict";
(() => {
  const PER_BLOCK = 128;
  const ROW = 32;
  /** @param {string} id @returns {any} */
  const at = (id) => document.getElementById(id);

  /**
   * An element with attributes, listeners and children; strings become text in which nothing hides.
   * @param {string} tag @param {Record<string, string|Function>} [given] @param {...Child} children
   */
  function make(tag, given = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(given)) {
      if (typeof value === "string") node.setAttribute(key, seen(value));
      else node.addEventListener(key, /** @type {EventListener} */ (value));
    }
    node.append(...children.flatMap((child) => (typeof child === "string" ? seen(child) : child ?? [])));
    return node;
  }

  /** @param {string} name @returns {Promise<any>} */
  async function load(name) {
    const inline = at(`data-${name}`);
    const body = inline ? new Blob([bytes(inline.textContent)]).stream() : (await fetch(`data/${name}.json.gz`)).body;
    if (!body) throw new Error("the data did not arrive");
    return new Response(body.pipeThrough(new DecompressionStream("gzip"))).json();
  }

  // a loop: Uint8Array.from takes twenty times as long, a third of a second for a large index
  /** @param {string} base64 */
  function bytes(base64) {
    const text = atob(base64), found = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) found[place] = text.charCodeAt(place);
    return found;
  }

  // ---- text ---------------------------------------------------------------------------------

  /** Joiners and selectors that writing has, or what cannot be seen, as words.py tells them. */
  const UNSEEN = /((?<=[^\0-\x7f\p{Join_C}])\p{Join_C}(?=[^\0-\x7f\p{Join_C}])|(?<=[^\0-\x7f\p{VS}])\p{VS}(?!\p{VS})|(?<=[\d#*])\ufe0f(?=\u20e3))|(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{DI}]/gu;

  /** A character as its number. @param {string} c */
  const escaped = (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`;

  /** Text in which nothing hides or turns it: what cannot be seen is written out. @param {string} text */
  const seen = (text) => text.replace(/\r\n?|[\u2028\u2029]/g, "\n").replace(UNSEEN, (c, needed) => needed ?? escaped(c));

  /** What of a text can be seen. @param {string} text */
  const bare = (text) => text.normalize().replace(/\r\n?/g, "\n").replace(/(?!\s)[\p{Cc}\p{Cf}\p{DI}]/gu, "").trim().replace(/[^\S\n]+/g, " ");

  /** @param {number} n */
  const count = (n) => n.toLocaleString("en");

  /** As words.py writes the value of a case. @param {number|null|undefined} value @param {string} unit */
  function shown(value, unit) {
    if (value == null) return "–";
    if (unit === "%") return `${+(100 * value).toFixed(1)} %`;
    if (unit === "s") return value < 1 ? `${+(1000 * value).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
    const size = Math.abs(value);
    return !size || size >= 0.1 ? value.toFixed(2) : size < 1e-6 ? value.toExponential(1) : value.toFixed(1 - Math.floor(Math.log10(size)));
  }

  const segments = typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "word" }) : null;
  /** @param {string} text @returns {string[]} */
  const wordsOf = (text) => (segments ? Array.from(segments.segment(text), (one) => one.segment) : text.match(/\w+|\s+|[^\w\s]/gu) ?? []);

  /**
   * The words both have and those one of them has; null when that is too much work.
   * Longest common subsequence after equal heads and tails are set aside.
   * @param {string} one @param {string} two @returns {Piece[]|null}
   */
  function diff(one, two) {
    const a = wordsOf(one), b = wordsOf(two);
    let head = 0, tail = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head++;
    while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const n = a.length - head - tail, m = b.length - head - tail;
    if (n * m > 4e6) return null;
    const wide = m + 1, best = new Uint16Array((n + 1) * wide);
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        best[i * wide + j] = a[head + i] === b[head + j]
          ? best[(i + 1) * wide + j + 1] + 1
          : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
    /** @type {Piece[]} */
    const found = [["same", a.slice(0, head).join("")]];
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[head + i] === b[head + j]) { found.push(["same", a[head + i++]]); j++; }
      else if (j >= m || (i < n && best[(i + 1) * wide + j] >= best[i * wide + j + 1])) found.push(["del", a[head + i++]]);
      else found.push(["ins", b[head + j++]]);
    }
    return joined([...found, ["same", a.slice(head + n).join("")]]);
  }

  /** Neighbouring edits as one, a blank between them included. @param {Piece[]} pieces @returns {Piece[]} */
  function joined(pieces) {
    /** @type {Piece[]} */
    const out = [];
    let same = "", gone = "", come = "", blank = "";
    const flush = () => {
      out.push(["same", same], ["del", gone], ["ins", come]);
      same = blank;
      gone = come = blank = "";
    };
    for (const [kind, text] of pieces) {
      const edited = gone || come;
      if (kind !== "same") {
        gone += blank + (kind === "del" ? text : "");
        come += blank + (kind === "ins" ? text : "");
        blank = "";
      } else if (edited && !blank && /^[^\S\n]+$/.test(text)) blank = text;
      else {
        if (edited) flush();
        same += text;
      }
    }
    flush();
    out.push(["same", same]);
    return out.filter(([, text]) => text);
  }

  /** The answer with the pieces its scores rest on. @param {string} text @param {Mark[]} marks */
  function marked(text, marks) {
    const points = Array.from(text);
    const over = /** @type {(Mark|null)[]} */ (new Array(points.length).fill(null));
    for (const one of marks)
      for (let i = Math.max(0, one.start); i < Math.min(points.length, one.end); i++)
        if (!over[i] || (one.value ?? 0) > (over[i]?.value ?? 0)) over[i] = one;
    const found = [];
    let start = 0;
    for (let end = 1; end <= points.length; end++) {
      if (end < points.length && over[end] === over[start]) continue;
      const piece = points.slice(start, end).join(""), one = over[start];
      found.push(one ? make("mark", { class: one.value === null || one.value >= 0.66 ? "high" : one.value < 0.33 ? "low" : "", title: one.reason }, piece) : piece);
      start = end;
    }
    return boxed(...found);
  }

  // ---- the page -----------------------------------------------------------------------------

  /** @type {Index} */
  let index;
  /** Where the text of a row is, if the page has it. @type {Map<number, number>} */
  let places;
  /** @type {Uint32Array} */
  let view;
  let selected = -1;
  let open = false;
  let both = false;
  /** The names in small letters. @type {string[]} */
  let lower;
  /** @type {Map<number, Promise<CaseText[]>>} */
  const blocks = new Map();
  /** @type {Map<string, Decision>} */
  const decided = new Map();
  /** @type {HTMLElement[]} */
  const pool = [];

  /** What the list and the panel say of a row. @param {number} row */
  function told(row) {
    const place = index.group[row], group = index.groups[place], id = index.id[row];
    return { group, ...index.outcomes[index.outcome[row]], id, key: `${place}/${id}`, title: index.name[row] + group.place };
  }
  /** What both sides have, or the only one. @template T @param {T} before @param {T} after */
  const sides = (before, after) => (index.baseline ? [before, after] : [after]);
  /** The group and the id of a key. @param {string} key @returns {[number, string]} */
  const parted = (key) => [parseInt(key, 10), key.slice(key.indexOf("/") + 1)];
  /**
   * A filter as a test of rows; throws with what is wrong.
   * s:regressed suite:x target:y tag:value d:<-0.2 base:>0.5 cand:<1 ms:>200 -s:same "some words"
   * @param {string} query @returns {(row: number) => boolean}
   */
  function filter(query) {
    /** @type {((row: number) => boolean)[]} */
    const tests = [];
    for (const [, minus, key, quoted, plain] of query.matchAll(/(-?)(?:([\p{L}\p{N}_.-]+):)?(?:"([^"]*)"?|(\S+))/gu)) {
      const value = (quoted ?? plain ?? "").toLowerCase();
      const test = one(key, value);
      tests.push(minus ? (row) => !test(row) : test);
    }
    return tests.length === 1 ? tests[0] : (row) => tests.every((test) => test(row));
  }

  /** @param {string|undefined} key @param {string} value @returns {(row: number) => boolean} */
  function one(key, value) {
    const { outcomes, groups, before, after, flaky, id, tags } = index;
    /** @param {string} text */
    const starts = (text) => text.toLowerCase().startsWith(value);
    /** Rows whose code stands for this text, or else for one that starts so. @param {string[]} all @param {number[]} codes @returns {(row: number) => boolean} */
    const coded = (all, codes) => {
      const same = all.map((text) => text.toLowerCase() === value), hits = same.includes(true) ? same : all.map(starts);
      return (row) => hits[codes[row]];
    };
    if (!key) return (row) => lower[row].includes(value) || id[row].includes(value);
    if (key === "s") {
      const all = outcomes.map((one) => one.name), test = coded(all, index.outcome);
      if (!all.some(starts)) throw new Error(`no status '${value}': ${all.join(", ")}`);
      return starts("flaky") ? (row) => test(row) || flaky[row] === 1 : test;
    }
    if (key === "suite" || key === "target") return coded(groups.map((group) => group[key]), index.group);
    const columns = /** @type {Record<string, (row: number) => number|null>} */ ({
      d: (row) => (before[row] === null || after[row] === null ? null : after[row] - before[row]),
      base: (row) => before[row], cand: (row) => after[row], ms: (row) => index.after_ms[row],
    });
    const column = columns[key];
    if (column) {
      const parts = /^(<=?|>=?|=)?(-?[\d.]+)$/.exec(value.replace("−", "-"));
      if (!parts) throw new Error(`${key}: takes a number, as ${key}:<-0.2`);
      const sign = parts[1] ?? "=", limit = Number(parts[2]);
      return (row) => {
        const found = column(row);
        return found !== null && sign.includes(Math.abs(found - limit) < 1e-9 ? "=" : found < limit ? "<" : ">");
      };
    }
    const name = Object.keys(tags).find((tag) => [tag, `tags.${tag}`].includes(key));
    if (!name) throw new Error(`no tag '${key}': ${["s", "suite", "target", ...Object.keys(columns), ...Object.keys(tags)].join(", ")}`);
    return coded(tags[name].values, tags[name].codes);
  }

  /** Apply the filter line; keep the open case when it is still there. @param {number} [keep] */
  function refresh(keep = selected >= 0 ? view[selected] : -1) {
    let test;
    at("error").textContent = "";
    try { test = filter(at("q").value); } catch (problem) {
      at("error").textContent = /** @type {Error} */ (problem).message;
      return;
    }
    const found = new Uint32Array(index.id.length);
    let size = 0;
    for (let row = 0; row < found.length; row++) if (test(row)) found[size++] = row;
    view = found.subarray(0, size);
    const total = index.id.length;
    at("count").textContent = `${count(size)} of ${count(total)} ${total === 1 ? "case" : "cases"}`;
    at("tall").style.height = `${size * ROW}px`;
    selected = keep < 0 ? -1 : view.indexOf(keep);
    if (selected < 0) close();
    at("list").scrollTop = selected < 0 ? 0 : Math.max(0, selected * ROW - 200);
    for (const button of document.querySelectorAll("button[data-q]"))
      button.setAttribute("aria-pressed", String(button.getAttribute("data-q") === at("q").value.trim()));
    paint();
    remember();
  }

  /** The rows in sight, and six more at either end. */
  function paint() {
    const list = at("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 6);
    const many = Math.min(view.length - first, Math.ceil(list.clientHeight / ROW) + 12);
    while (pool.length < many) {
      const node = make("div", { role: "option" }, ...["", "", "tag", "m", "m ms"].map((name) => make("span", { class: name })));
      node.addEventListener("click", () => { select(Number(node.dataset.at), true); list.focus(); });
      pool.push(node);
      at("tall").append(node);
    }
    pool.forEach((node, place) => {
      const where = first + place;
      node.hidden = place >= many;
      if (node.hidden) return;
      const row = view[where], { group: { unit }, ...one } = told(row);
      const [status, label, tag, score, time] = /** @type {any} */ (node.children);
      node.style.transform = `translateY(${where * ROW}px)`;
      node.dataset.at = String(where);
      node.id = `o${where}`;
      node.ariaSelected = String(where === selected);
      node.ariaPosInSet = String(where + 1);
      node.ariaSetSize = String(view.length);
      status.textContent = `${one.glyph} ${one.name}${index.flaky[row] && one.name !== "flaky" ? " ≈" : ""}`;
      status.className = one.tone + (decided.has(one.key) ? " decided" : "");
      label.textContent = seen(one.title);
      tag.textContent = seen(slice(row));
      score.textContent = sides(index.before[row], index.after[row]).map((one) => shown(one, unit)).join(" → ");
      const took = sides(index.before_ms[row], index.after_ms[row]);
      time.textContent = took.map((ms) => ms ?? "–").join(" → ") + (took.every((ms) => ms === null) ? "" : " ms");
    });
    if (selected >= 0) list.setAttribute("aria-activedescendant", `o${selected}`);
    else list.removeAttribute("aria-activedescendant");
  }

  /** @param {number} row */
  const slice = (row) => index.slices.map((name) => index.tags[name]).filter((tag) => tag.codes[row] >= 0).slice(0, 2).map((tag) => tag.values[tag.codes[row]]).join(" ");

  /** @param {number} where @param {boolean} show */
  function select(where, show) {
    if (!view.length) return;
    selected = Math.max(0, Math.min(view.length - 1, where));
    const list = at("list"), top = selected * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    paint();
    if (show || open) panel();
    remember();
  }

  /** The next or previous row of the view that went wrong. @param {number} step */
  function jump(step) {
    for (let where = selected + step; where >= 0 && where < view.length; where += step)
      if (index.outcomes[index.outcome[view[where]]].tone === "bad") return select(where, true);
  }

  function close() {
    open = false;
    at("panel").hidden = true;
    at("pair").classList.remove("open");
  }

  function leave() {
    close();
    paint();
    remember();
    at("list").focus();
  }

  function remember() {
    const opened = open && selected >= 0 ? `&case=${encodeURIComponent(told(view[selected]).key)}` : "";
    try { history.replaceState(null, "", `#q=${encodeURIComponent(at("q").value.trim())}${opened}`); } catch { /* a browser may forbid it for files */ }
  }

  function restore() {
    const given = new URLSearchParams(location.hash.slice(1)), [group, id] = parted(given.get("case") ?? "");
    at("q").value = given.get("q") ?? index.first;
    refresh(index.id.findIndex((one, row) => one === id && index.group[row] === group));
    if (selected >= 0) panel();
  }

  /** @param {number} row @returns {Promise<CaseText|null>} */
  async function textOf(row) {
    const place = places.get(row);
    if (place === undefined) return null;
    const number = Math.floor(place / PER_BLOCK);
    if (!blocks.has(number)) blocks.set(number, load(`b${number}`));
    return (await /** @type {Promise<CaseText[]>} */ (blocks.get(number)))[place % PER_BLOCK];
  }

  /** @param {string} head @param {...Child} body */
  const section = (head, ...body) => make("section", {}, make("h3", {}, head), ...body);
  /** @param {...Child} body */
  const boxed = (...body) => make("div", { class: "box", dir: "auto" }, ...body);
  /** A text of others; one of blanks in quotes. @param {string} text */
  const box = (text) => boxed(text.trim() ? text : JSON.stringify(text));
  /** @param {string} head @param {...Child} body */
  const folded = (head, ...body) => make("details", {}, make("summary", {}, head), ...body);

  async function panel() {
    const row = view[selected], one = told(row), node = at("panel");
    open = true;
    node.hidden = false;
    at("pair").classList.add("open");
    paint();
    let text = null, failure = "";
    try { text = await textOf(row); } catch (problem) { failure = String(problem); }
    if (selected < 0 || view[selected] !== row) return;
    const mine = decided.get(one.key);
    /** @param {string} what @param {string} key @param {() => void} act @param {boolean} on */
    const button = (what, key, act, on) => make("button", { "aria-pressed": String(on), click: act }, `${what} `, make("kbd", {}, key));
    const note = make("input", { type: "text", "aria-label": "Note to the decision", placeholder: "note", change: () => decide(mine?.decision ?? "flag", /** @type {any} */ (note).value) });
    /** @type {any} */ (note).value = mine?.note ?? "";
    // what had the focus has it again
    const fields = () => /** @type {any[]} */ ([...node.querySelectorAll("button, input")]), place = fields().indexOf(document.activeElement);
    node.replaceChildren(make("div", {},
      make("div", { class: "head" },
        make("span", { class: one.tone }, `${one.glyph} ${one.name}`), make("span", { class: "name" }, one.title),
        button("Accept", "a", () => decide("accept"), mine?.decision === "accept"),
        button("Flag", "x", () => decide("flag"), mine?.decision === "flag"),
        button("Side by side", "d", turn, both),
        make("button", { "aria-label": "Close the case", click: leave }, "✕")),
      make("p", { class: "soft" }, `${count(selected + 1)} of ${count(view.length)} in this filter`, mine ? ` · decided: ${mine.decision} ` : "", mine ? note : null),
      ...(text ? body(row, text) : [make("p", {}, failure || "The texts were left out for size; the store has them:")]),
      section("Reproduce", make("div", { class: "box m" }, commands(one))),
    ));
    node.scrollTop = 0;
    fields()[place]?.focus();
  }

  /** @param {ReturnType<typeof told>} one */
  const commands = ({ id, group }) => [
    ...(index.baseline ? [`evalkit why ${id} ${index.baseline} ${index.candidate}`] : []),
    `evalkit show ${index.candidate} ${id}`,
    `evalkit run ${quote(group.suite)} --target ${quote(group.target)} --filter id:${id}`,
  ].join("\n");
  /** @param {string} word */
  const quote = (word) => (/^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

  /** @param {number} row @param {CaseText} text @returns {Child[]} */
  function body(row, text) {
    const old = text.before[0], now = text.after[0];
    const marks = (now?.scores ?? []).flatMap((score) => score.marks.filter((one) => one.source === "output"));
    return [
      why(row, old, now),
      ...text.inputs.map(([label, value]) => section(`Input: ${label}`, box(value))),
      text.expected === null || text.expected === text.turns.at(-1)?.[1] ? null : section("Expected", box(text.expected)),
      ...(text.turns.length ? dialogue(text, old, now) : [answers(old, now), evidence(now?.text ?? "", marks)]),
      scores(old, now),
      trials(text),
      text.context.length ? folded(`Context (${text.context.length})`, ...text.context.map(box)) : null,
      now?.context.length && !now.turns.length ? folded(`Retrieved context (${now.context.length})`, ...now.context.map(box)) : null,
      text.messages.length ? folded("What was sent", ...text.messages.flatMap(([role, said]) => [make("h3", {}, role), box(said)])) : null,
    ];
  }
  /** The answer with what scores rest on, and why. @param {string} text @param {Mark[]} marks @param {string} [head] */
  const evidence = (text, marks, head = "") => (marks.length ? section(head ? `${head}evidence` : "Evidence", marked(text, marks), ...marks.filter((one) => one.reason).slice(0, 12).map((one) => make("p", {}, `“${one.text.slice(0, 160)}”: ${one.reason}`))) : null);

  /** A conversation turn by turn. @param {CaseText} text @param {TrialText|undefined} old @param {TrialText|undefined} now @returns {Child[]} */
  function dialogue(text, old, now) {
    const many = Math.max(text.turns.length, old?.turns.length ?? 0, now?.turns.length ?? 0), found = [];
    const marks = ((now ?? old)?.scores ?? []).flatMap(({ name, marks }) => marks.map((one) => ({ ...one, name })));
    for (let place = 0; place < many; place++) {
      const a = old?.turns[place], b = now?.turns[place], [user, expected] = text.turns[place] ?? ["", null], head = `Turn ${place + 1}: `;
      const source = `turn:${place + 1}`, sources = [`${source}:output`, now && now.text !== null && place === now.turns.length - 1 ? "output" : ""];
      const got = marks.filter((one) => one.source === source).map((one) => `${one.name}: ${one.text}${one.value === null ? "" : ` ${shown(one.value, "")}`}${one.reason ? ` (${one.reason})` : ""}`);
      found.push(
        section(`${head}user`, box(b?.user ?? a?.user ?? user)),
        expected === null ? null : section(`${head}expected`, box(expected)),
        a || b ? answers(a, b, head) : section(`${head}output`, make("p", {}, "This turn was not answered.")),
        got.length ? make("p", {}, got.join(" · ")) : null,
        b?.facts.length ? make("p", { class: "soft" }, b.facts.join(" · ")) : null,
        b ? evidence(b.text, marks.filter((one) => sources.includes(one.source)), head) : null,
        b?.context.length ? folded(`${head}retrieved context (${b.context.length})`, ...b.context.map(box)) : null,
      );
    }
    if (old && old.text === null) found.push(section("The baseline failed", box(old.error)));
    return found;
  }

  /** What a trial or a turn said, its tool calls included. @param {TrialText|TurnText|undefined} one */
  const full = (one) => (one ? [one.text ?? one.error, one.cut ? `[${count(one.cut)} more characters: see the command below]` : "", ...one.calls.map((call) => `tool call: ${call}`)].filter((part) => part).join("\n") : "(no such trial)");

  /** Whether two trials say the same. @param {TrialText} one @param {TrialText} two */
  const sameText = (one, two) => [one, ...one.turns].map(full).join("\0") === [two, ...two.turns].map(full).join("\0");

  /** @param {ScoreText|undefined} score */
  const said = (score) => (!score ? "–" : score.value === null ? score.label : shown(score.value, "") + (score.passed === null ? "" : score.passed ? " ✓" : " ✕"));

  /** Why the case counts as it does. @param {number} row @param {TrialText|undefined} old @param {TrialText|undefined} now */
  function why(row, old, now) {
    if (now?.text === null) return section("Why", box(now.error));
    const { group, name } = told(row), lines = [];
    for (const score of now?.scores ?? []) {
      const before = old?.scores.find((one) => one.name === score.name);
      if (before ? before.value !== score.value : !old && (score.passed === false || score.value === null))
        lines.push(`${score.name} ${before ? `${said(before)} → ` : ""}${said(score)}${score.reason ? `: ${score.reason}` : ""}`);
    }
    if (old && now && !old.cut && !now.cut && sameText(old, now) && lines.length) lines.push("The text is the same: the scorer moved, not the model.");
    if (index.flaky[row]) lines.push("The trials of the candidate disagree.");
    if (!lines.length) return null;
    return section(`Why it counts as ${name} (${group.metric}, ${group.gain > 0 ? "higher" : "lower"} is better)`, box(lines.join("\n")));
  }

  /** @param {TrialText|TurnText|undefined} old @param {TrialText|TurnText|undefined} now @param {string} [head] @returns {HTMLElement} */
  function answers(old, now, head = "") {
    const output = head ? `${head}output` : "Output";
    if (!old || !now) return section(`${output}${index.baseline ? (now ? " (candidate)" : " (baseline)") : ""}`, box(full(now ?? old)));
    const one = full(old), two = full(now), whole = !old.cut && !now.cut;
    let because = "";
    if (!both) {
      if (one === two) return section(`${output}, the same ${whole ? "on both sides" : "as far as it stands here"}`, box(one));
      if (old.text !== null && now.text !== null) {
        const pieces = diff(one, two), alike = whole && bare(one) === bare(two);
        let shared = 0;
        for (const [kind, piece] of pieces ?? []) if (kind === "same") shared += 2 * piece.length;
        if (pieces && (alike || shared >= 0.35 * (one.length + two.length)))
          return section(`${output}, ${alike ? "the same but for what cannot be seen" : "word by word"}`, boxed(...pieces.map(([kind, piece]) => (kind === "same" ? piece : make(kind, {}, alike ? piece.replace(/[^!-~]/gu, escaped) : piece)))));
        because = pieces ? " (rewritten: under 35 % shared)" : " (too long to compare word by word)";
      }
    }
    /** @param {string} label @param {string} text */
    const side = (label, text) => make("div", {}, make("h3", {}, label), box(text));
    return section(`${output}, baseline | candidate${because}`, make("div", { class: "two" }, side("baseline", one), side("candidate", two)));
  }

  /** @param {TrialText|undefined} old @param {TrialText|undefined} now */
  function scores(old, now) {
    const names = [...new Set([...(old?.scores ?? []), ...(now?.scores ?? [])].map((one) => one.name))];
    if (!names.length) return null;
    /** @param {TrialText|undefined} side @param {string} name */
    const find = (side, name) => side?.scores.find((one) => one.name === name);
    const heads = ["score", ...(index.baseline ? ["base", "cand"] : ["value"]), "signature"];
    const rows = names.map((name) => {
      const a = find(old, name), b = find(now, name);
      const signature = a && b && a.signature !== b.signature ? `${a.signature} → ${b.signature}` : (b ?? a)?.signature ?? "";
      return make("tr", {}, make("td", {}, name), ...sides(a, b).map((one) => make("td", { class: "r" }, said(one))), make("td", { class: "soft m" }, signature));
    });
    return section("Scores", make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", class: /^[bcv]/.test(head) ? "r" : "" }, head)))), make("tbody", {}, ...rows))));
  }

  /** @param {CaseText} text */
  function trials(text) {
    /** @param {string} side @param {TrialText[]} all */
    const rows = (side, all) => all.map((one) => make("div", {},
      make("h3", {}, `${side}: ${one.scores.map((score) => `${score.name} ${said(score)}`).join(", ")}`),
      all.length > 1 ? box(one.text ?? one.error) : null,
      make("p", { class: "soft" }, one.facts.join(" · "))));
    const many = text.before.length + text.after.length;
    return many ? folded(`Trials (${many}) and what they took`, ...rows("baseline", text.before), ...rows(index.baseline ? "candidate" : "trial", text.after)) : null;
  }

  // ---- decisions ----------------------------------------------------------------------------

  const kept = () => `evalkit ${index.baseline} ${index.candidate}`;

  /** @param {string} decision @param {string} [note] */
  function decide(decision, note) {
    if (selected < 0) return;
    const { key } = told(view[selected]), had = decided.get(key);
    if (note === undefined && had?.decision === decision) decided.delete(key);
    else decided.set(key, { decision, note: note ?? had?.note ?? "" });
    try { localStorage.setItem(kept(), JSON.stringify([...decided])); } catch { /* decisions live as long as the page */ }
    tally();
    paint();
    if (open) panel();
  }

  function tally() {
    const all = [...decided.values()], many = (/** @type {string} */ name) => all.filter((one) => one.decision === name).length;
    at("decisions").hidden = !all.length || !index.baseline;
    at("tally").textContent = `${many("accept")} accepted, ${many("flag")} flagged`;
  }

  async function copy() {
    const area = at("copied");
    area.value = JSON.stringify({
      kind: "evalkit.decisions", format: 1, baseline: index.baseline, candidate: index.candidate,
      decisions: Array.from(decided, ([key, one]) => {
        const [group, id] = parted(key), { suite, target } = index.groups[group];
        return { suite, target, case_id: id, ...one };
      }),
    }, null, 2);
    area.hidden = false;
    let done = "copied";
    try { await navigator.clipboard.writeText(area.value); } catch { area.select(); done = "copy the text below"; }
    at("how").textContent = `${done}; save as decisions.json, then: evalkit review apply decisions.json`;
  }

  // ---- input --------------------------------------------------------------------------------

  function turn() {
    both = !both;
    if (open) panel();
  }

  /** @type {Record<string, () => void>} */
  const always = {
    ArrowDown: () => select(selected + 1, false), ArrowUp: () => select(selected - 1, false),
    PageDown: () => select(selected + 14, false), PageUp: () => select(selected - 14, false),
    Home: () => select(0, false), End: () => select(view.length - 1, false),
    Enter: () => select(selected, true),
    Escape: leave,
  };
  /** @type {Record<string, () => void>} */
  const letters = {
    j: always.ArrowDown, k: always.ArrowUp, n: () => jump(1), p: () => jump(-1), d: turn,
    a: () => decide("accept"), x: () => decide("flag"),
    "/": () => { at("q").focus(); at("q").select(); }, "?": () => { at("help").hidden = !at("help").hidden; },
  };

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof HTMLElement)) return;
    let act = key === "Escape" || target === at("list") ? always[key] : undefined;
    if (!act && at("keys").checked) act = letters[key];
    if (target.matches("input[type=search], input[type=text], textarea"))
      act = key === "Escape" || (key === "Enter" && target === at("q")) ? () => { if (!open) select(selected, false); at("list").focus(); } : undefined;
    if (!act) return;
    event.preventDefault();
    act();
  }

  async function start() {
    const root = document.documentElement;
    at("theme").addEventListener("click", () => {
      const theme = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
      root.dataset.theme = theme === "dark" ? "light" : "dark";
    });
    at("theme").hidden = false;
    if (!at("work")) return;
    try {
      const [found, rows] = await Promise.all([load("index"), load("texts")]);
      index = { ...found, id: found.id.split("\n"), name: found.name.split("\n") };
      lower = found.name.toLowerCase().split("\n");
      places = new Map(rows.map((/** @type {number} */ row, /** @type {number} */ place) => [row, place]));
    } catch (problem) {
      at("still").append(make("p", { class: "bad" }, `The cases cannot be shown: ${problem}`));
      return;
    }
    at("still").hidden = true;
    at("work").hidden = false;
    try { for (const [key, value] of JSON.parse(localStorage.getItem(kept()) ?? "[]")) if (index.groups[parted(key)[0]]) decided.set(key, value); } catch { /* none are kept */ }
    at("q").addEventListener("input", () => refresh());
    for (const cell of document.querySelectorAll("td[data-q]"))
      cell.replaceChildren(make("button", { "data-q": cell.getAttribute("data-q") ?? "" }, cell.textContent));
    for (const button of document.querySelectorAll("button[data-q]"))
      button.addEventListener("click", () => { at("q").value = button.getAttribute("data-q"); refresh(); at("pair").scrollIntoView({ block: "nearest" }); });
    at("list").addEventListener("scroll", paint, { passive: true });
    at("work").addEventListener("keydown", pressed);
    at("copy").addEventListener("click", copy);
    window.addEventListener("hashchange", restore);
    window.addEventListener("resize", paint);
    restore();
    tally();
    root.dataset.ready = String(Math.round(performance.now()));
    (window.requestIdleCallback ?? setTimeout)(prepare);
  }

  /** What the first opening would wait for. */
  function prepare() {
    wordsOf("");
    if (view.length) textOf(view[0]).catch(() => null);
  }
  start();
})();
