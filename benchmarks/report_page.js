// What the report does in a browser, timed by the browser: the longest filter and opening, the 95th
// percentile of the time between frames while the list scrolls. Run by bench_report.py.
async () => {
  const $ = (id) => document.getElementById(id);
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  const until = async (test) => {
    const end = performance.now() + 5000;
    while (!test() && performance.now() < end) await rest(1);
  };
  const time = async (act) => {
    const begun = performance.now();
    await act();
    return performance.now() - begun;
  };
  const type = (text) => {
    $("q").value = text;
    $("q").dispatchEvent(new Event("input"));
  };
  const filter = async (text) => {
    type(text);
    await until(() => decodeURIComponent(location.hash).includes(text));
  };
  type("");
  await rest(200);
  const count = $("count").textContent;
  const filters = [];
  for (const text of ["s:regressed", "lang:es", "support/0000", "d:<-0.2", "-s:same"])
    filters.push(await time(() => filter(text)));
  await filter("s:regressed");
  const opens = [];
  for (let turn = 0; turn < 5; turn++) {
    const option = [...document.querySelectorAll("#list [role=option]")].find(
      (one) => Number(one.dataset.at) === turn,
    );
    const name = option.children[1].textContent;
    const shown = () =>
      document.querySelector("#panel .head .name")?.textContent === name &&
      document.querySelectorAll("#panel section").length > 3;
    opens.push(
      await time(async () => {
        option.click();
        await until(shown);
      }),
    );
  }
  type("");
  await rest(200);
  const frames = [];
  let last = performance.now();
  for (let turn = 0; turn < 120; turn++) {
    $("list").scrollTop += 700;
    await new Promise((done) => requestAnimationFrame(done));
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  frames.sort((one, other) => one - other);
  return {
    count,
    ready: Number(document.documentElement.dataset.ready),
    filter: Math.max(...filters),
    open: Math.max(...opens),
    scroll: frames[Math.floor(frames.length * 0.95)],
  };
};
