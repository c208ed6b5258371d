/** The page: asks the sidecar every two seconds, shows what it says, and sends it searches. */
import { drawLines, pointsMax } from "./charts.js";
import { drawMap, project } from "./map.js";

const pollMs = 2_000;
const tokenName = "vstore-token";
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

const history = { rate: [], p50: [], p99: [] };
let before;

async function ask(path, question) {
  const token = sessionStorage.getItem(tokenName);
  const authorization = token === null ? {} : { Authorization: `Bearer ${token}` };
  const asked = question && {
    method: "POST",
    body: JSON.stringify(question),
    headers: { ...authorization, "Content-Type": "application/json" },
  };
  const response = await fetch(path, asked ?? { headers: authorization });
  if (response.status === 401) signIn();
  if (response.headers.get("content-type") !== "application/json") throw new Error(await response.text());
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function signIn() {
  $("sign-in").hidden = false;
  $("content").hidden = true;
}

function say(text, isBad) {
  $("state").textContent = text;
  $("state").classList.toggle("bad", isBad);
}

async function poll() {
  try {
    const overview = await ask("api/overview");
    $("sign-in").hidden = true;
    $("content").hidden = false;
    say(overview.serving ? "serving" : overview.reason, !overview.serving);
    show(overview);
  } catch (error) {
    say(error.message, true);
  }
  setTimeout(poll, pollMs);
}

function show(overview) {
  const { store, process, collections, queues } = overview;
  showTiles(store, process);
  showCollections(collections);
  showCaches(collections.filter(({ cache_hits }) => cache_hits !== undefined));
  showJobs(queues);
  showTraffic(overview.requests);
}

function showTiles(store, process) {
  const tiles = {
    Vectors: count(store.vectors),
    Collections: count(store.collections),
    "Not indexed yet": count(store.tail_slots),
    Memory: bytes(process.resident_memory_bytes),
    "Loop delay, p99": duration(process.event_loop_delay_p99_seconds),
  };
  const faults = {
    "Damaged collections": store.damaged_collections,
    "Log losses": store.log_losses,
    "Obstructed streams": store.obstructed_streams,
    "Unexpected errors": store.unexpected_errors,
  };
  const shown = Object.entries(faults).filter(([, value]) => value > 0);
  $("tiles").replaceChildren(
    ...Object.entries(tiles).flatMap(([name, value]) => tile(name, value)),
    ...shown.flatMap(([name, value]) => tile(name, count(value), "bad")),
  );
}

function tile(name, value, className = "") {
  const group = element("div", "", className);
  group.append(element("dt", name), element("dd", value));
  return [group];
}

function showCollections(collections) {
  const rows = collections.map((each) => [
    each.name,
    count(each.vectors),
    count(each.dimensions),
    each.metric,
    bytes(each.segment_bytes + each.keys_bytes + each.attributes_bytes),
    each.slots === 0 ? "–" : `${number.format((100 * each.indexed_slots) / each.slots)} %`,
    each.log_lag_seconds === undefined ? "–" : duration(each.log_lag_seconds),
    each.checkpoint_age_seconds === 0 ? "complete" : `${duration(each.checkpoint_age_seconds)} ago`,
  ]);
  fill("collections", rows, "no collections yet");
  const select = $("collection");
  const names = collections.map(({ name }) => name);
  if (names.join("\n") === [...select.options].map(({ value }) => value).join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
}

function showCaches(caches) {
  const rows = caches.map((each) => {
    const asked = each.cache_hits + each.cache_verifies + each.cache_misses;
    return [
      each.name,
      count(each.vectors),
      bytes(each.cache_bytes),
      count(each.cache_hits),
      count(each.cache_exact_hits),
      count(each.cache_verifies),
      count(each.cache_misses),
      asked === 0 ? "–" : `${number.format((100 * each.cache_hits) / asked)} %`,
      count(each.cache_false_hits),
      duration(each.cache_saved_ms / 1_000),
    ];
  });
  $("caches-section").hidden = rows.length === 0;
  fill("caches", rows, "");
}

function showJobs(queues) {
  const rows = queues.map(({ name, counts, failed }) => [
    name,
    ...[
      counts.active,
      (counts.waiting ?? 0) + (counts.prioritized ?? 0),
      counts.delayed,
      counts.completed,
    ].map(count),
    count(counts.failed),
    failed[0]?.reason ?? "–",
  ]);
  fill("jobs", rows, "no queues seen");
}

function showTraffic(requests) {
  const now = { at: performance.now(), requests };
  const commands = Object.entries(requests.commands);
  const rows = commands
    .map(([name, { outcomes, durations }]) => {
      const all = sum(Object.values(outcomes));
      const errors = Object.entries(outcomes).filter(([outcome]) => outcome !== "OK");
      const wrong = errors.map(([code, times]) => `${count(times)} ${code}`).join(", ");
      const times = [0.5, 0.99].map((share) => duration(quantile(requests.bounds, durations, share)));
      return { all, cells: [name, count(all), wrong || "–", ...times] };
    })
    .sort((a, b) => b.all - a.all);
  fill(
    "commands",
    rows.map(({ cells }) => cells),
    "no requests yet",
  );
  if (before !== undefined) advance(before, now);
  before = now;
}

/** One more point of each chart: what came since the last poll. */
function advance(last, now) {
  const durations = difference(last.requests, now.requests);
  const seconds = (now.at - last.at) / 1000;
  push(history.rate, sum(durations) / seconds);
  const { bounds } = now.requests;
  push(history.p50, quantile(bounds, durations, 0.5));
  push(history.p99, quantile(bounds, durations, 0.99));
  drawCharts();
}

function drawCharts() {
  $("rate-now").textContent = count(Math.round(history.rate.at(-1) ?? 0));
  $("latency-now").textContent = `${duration(history.p50.at(-1))} / ${duration(history.p99.at(-1))}`;
  drawLines($("rate"), [{ colour: "--first", values: history.rate }], (value) => number.format(value));
  const lines = [
    { colour: "--first", values: history.p50 },
    { colour: "--second", values: history.p99 },
  ];
  drawLines($("latency"), lines, duration);
}

function push(values, value) {
  values.push(value);
  if (values.length > pointsMax) values.shift();
}

/** Classes of duration of all commands together. A sidecar that was started again counts from 0. */
function difference(last, now) {
  return now.bounds.concat(0).map((_, i) => {
    const of = ({ commands }) => sum(Object.values(commands).map(({ durations }) => durations[i]));
    return Math.max(0, of(now) - of(last));
  });
}

/** Within its class a duration is taken to be anywhere; undefined without durations. */
function quantile(bounds, durations, share) {
  const all = sum(durations);
  if (all === 0) return undefined;
  let left = share * all;
  for (const [i, times] of durations.entries()) {
    const low = i === 0 ? 0 : bounds[i - 1];
    if (left <= times) return low + ((bounds[i] ?? low * 2) - low) * (left / times);
    left -= times;
  }
  return bounds.at(-1);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const count = (value) => (value === undefined ? "–" : number.format(value));

function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(value || 1) / 10)));
  return `${number.format(value / 1024 ** power)} ${units[power]}`;
}

function duration(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  if (seconds >= 1) return `${number.format(seconds)} s`;
  return seconds >= 0.001 ? `${number.format(seconds * 1e3)} ms` : `${Math.round(seconds * 1e6)} µs`;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Rows of texts or elements. */
function fill(id, rows, otherwise) {
  const empty = [[otherwise]];
  const made = (rows.length > 0 ? rows : empty).map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const data = document.createElement("td");
      data.append(cell);
      row.append(data);
    }
    return row;
  });
  $(id).replaceChildren(...made);
}

/** Numbers with anything between them are a vector; everything else is a key. */
function questionOf(text) {
  const words = text
    .replace(/^\s*\[|\]\s*$/g, "")
    .split(/[\s,;]+/)
    .filter(Boolean);
  const numbers = words.map(Number);
  return words.length > 1 && numbers.every(Number.isFinite) ? { vector: numbers } : { key: text };
}

async function search() {
  const question = {
    collection: $("collection").value,
    filter: $("filter").value,
    count: Number($("count").value),
    ...questionOf($("query").value),
  };
  try {
    const { hits, ms } = await ask("api/search", question);
    $("outcome").textContent = `${hits.length} nearest in ${number.format(ms)} ms`;
    $("outcome").classList.remove("bad");
    fill("hits", hits.map(row), "nothing found");
  } catch (error) {
    $("outcome").textContent = error.message;
    $("outcome").classList.add("bad");
    fill("hits", [], "");
  }
}

function row({ key, distance, attributes }) {
  const link = element("button", key);
  link.type = "button";
  link.addEventListener("click", () => searchFrom(key));
  return [link, distance.toPrecision(6), attributes === null ? "–" : element("code", attributes)];
}

function searchFrom(key) {
  $("query").value = key;
  void search();
}

const map = { points: [], keys: [], chosen: -1, find: () => -1 };

async function draw() {
  const collection = $("collection").value;
  try {
    const sample = await ask(`api/sample?collection=${encodeURIComponent(collection)}`);
    const raw = Uint8Array.from(atob(sample.vectors), (letter) => letter.charCodeAt(0));
    map.points = project(new Float32Array(raw.buffer), sample.dimensions);
    map.keys = sample.keys;
    map.chosen = -1;
    redraw();
    $("map-outcome").textContent = `${count(sample.keys.length)} of ${count(sample.of)} vectors`;
  } catch (error) {
    $("map-outcome").textContent = error.message;
  }
}

function redraw() {
  if (map.points.length > 0) map.find = drawMap($("map"), map.points, map.keys, map.chosen);
}

$("map").addEventListener("click", ({ offsetX, offsetY }) => {
  map.chosen = map.find(offsetX, offsetY);
  if (map.chosen < 0) return;
  redraw();
  searchFrom(map.keys[map.chosen]);
});
$("draw").addEventListener("click", draw);
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  void search();
});
$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenName, $("token").value);
  location.reload();
});
const drawAll = () => {
  drawCharts();
  redraw();
};
addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

void poll();
