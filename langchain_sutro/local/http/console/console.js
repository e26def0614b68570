// The console of a local deployment. What comes from the service is only ever set as text.

const KEY = "sutro-api-key";
const PAGE = 25;
const JOBS = 20;
const SECONDS_BETWEEN_POLLS = 2;
const UNFINISHED = new Set(["QUEUED", "STARTING", "RUNNING", "CANCELLING"]);

const $ = (id) => document.getElementById(id);
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

/** Call the deployment's API with the key of this tab. */
async function call(path, options = {}) {
  const headers = { authorization: `Key ${sessionStorage.getItem(KEY)}`, "x-sutro-console": "1" };
  const response = await fetch(`/v1/${path}`, { ...options, headers, cache: "no-store" });
  if (response.status === 401) {
    sessionStorage.removeItem(KEY);
    logIn("The deployment does not accept this key.");
    throw new Error("The key is not accepted.");
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    const detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail);
    throw new Error(`${response.status}: ${detail ?? response.statusText}`);
  }
  return response;
}

const read = async (path) => (await call(path)).json();

function logIn(problem = "") {
  $("login-problem").textContent = problem;
  $("login-problem").hidden = !problem;
  if (!$("login").open) $("login").showModal();
}

function showProblem(error) {
  $("problem").textContent = error ? error.message : "";
  $("problem").hidden = !error;
}

// Functions

async function showFunctions() {
  const { functions } = await read("local/functions");
  const buttons = functions.map((one) => {
    const button = element("button", { type: "button", textContent: one.name });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => choose(one, button));
    return button;
  });
  $("function-list").replaceChildren(...buttons.map((button) => element("li", {}, button)));
  if (functions.length) choose(functions[0], buttons[0]);
}

function choose(one, button) {
  for (const other of document.querySelectorAll("#function-list button")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  $("try").hidden = false;
  $("try-title").textContent = one.name;
  $("try-description").textContent = one.description;
  $("answer").replaceChildren();
  const required = new Set(one.input_schema.required ?? []);
  const fields = Object.entries(one.input_schema.properties ?? {});
  $("fields").replaceChildren(
    ...fields.flatMap(([name, schema]) => field(name, schema, required.has(name))),
  );
  $("try").onsubmit = (event) => {
    event.preventDefault();
    run(one, fields.map(([name]) => name));
  };
}

function field(name, schema, required) {
  const id = `field-${name}`;
  const control = controlFor(schema);
  Object.assign(control, { id, name, required: required && control.type !== "checkbox" });
  const parts = [element("label", { htmlFor: id, textContent: name }), control];
  if (schema.description) {
    control.setAttribute("aria-describedby", `${id}-hint`);
    parts.push(
      element("p", { id: `${id}-hint`, className: "hint", textContent: schema.description }),
    );
  }
  return parts;
}

function controlFor(schema) {
  if (Array.isArray(schema.enum)) {
    return element("select", {}, ...schema.enum.map((value) => new Option(value, value)));
  }
  if (schema.type === "boolean") return element("input", { type: "checkbox" });
  if (schema.type === "integer") return element("input", { type: "number", step: "1" });
  if (schema.type === "number") return element("input", { type: "number", step: "any" });
  return element("textarea", { rows: 2 });
}

async function run(one, names) {
  const input = {};
  for (const name of names) {
    const control = $(`field-${name}`);
    input[name] = control.type === "checkbox" ? control.checked : control.value;
  }
  $("answer").replaceChildren(element("p", { textContent: "Running …" }));
  const start = performance.now();
  try {
    const response = await call(`functions/${encodeURIComponent(one.name)}/run`, {
      method: "POST",
      body: JSON.stringify({ input }),
    });
    const answer = await response.json();
    const milliseconds = Math.round(performance.now() - start);
    $("answer").replaceChildren(described(answer, milliseconds));
  } catch (error) {
    $("answer").replaceChildren(element("p", { className: "bad", textContent: error.message }));
  }
}

function described(answer, milliseconds) {
  const { usage, confidence } = answer;
  const facts = [
    ["Output", element("pre", { textContent: JSON.stringify(answer.output, null, 2) })],
    ["Confidence", confidence === null ? "none" : percent(confidence)],
    ["Tokens", `${usage.input_tokens} in, ${usage.output_tokens} out`],
    ["Cost", `$${usage.cost_usd}`],
    ["Time", `${milliseconds} ms`],
  ];
  const list = element("dl");
  for (const [name, value] of facts) {
    list.append(element("dt", { textContent: name }), element("dd", {}, value));
  }
  return list;
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const time = (iso) => new Date(iso).toLocaleTimeString();
const cell = (content, className = "") => element("td", { className }, content);

// Jobs

const watched = new Map();

async function showJobs() {
  const { jobs } = await read(`list-jobs?limit=${JOBS}`);
  $("no-jobs").hidden = jobs.length > 0;
  $("job-table").hidden = jobs.length === 0;
  const body = $("job-table").tBodies[0];
  const rows = new Map([...body.rows].map((row) => [row.dataset.job, row]));
  const wanted = jobs.map((job) => updated(rows.get(job.job_id) ?? jobRow(job), job));
  // Rows that stay are left where they are, so that the keyboard's focus is not lost.
  if (wanted.some((row, index) => body.rows[index] !== row) || wanted.length < body.rows.length) {
    body.replaceChildren(...wanted);
  }
  for (const job of jobs) if (UNFINISHED.has(job.status)) watch(job);
}

function jobRow(job) {
  const row = element("tr");
  row.dataset.job = job.job_id;
  const show = element("button", { type: "button", textContent: "Show rows" });
  show.setAttribute("aria-label", `Show rows of ${job.job_id}`);
  show.addEventListener("click", () => showRows(job.job_id, 0, true));
  const progress = element("progress", { max: 1, value: 0 });
  progress.setAttribute("aria-label", `Progress of ${job.job_id}`);
  row.append(
    element("th", { scope: "row", textContent: job.name ?? job.job_id }),
    cell(job.model),
    cell(""),
    cell("", "number"),
    cell(progress),
    cell(time(job.datetime_created)),
    cell(show),
  );
  return row;
}

function updated(row, job) {
  const [, , status, count] = row.cells;
  status.textContent = job.status;
  status.className = { SUCCEEDED: "good", FAILED: "bad", CANCELLED: "bad" }[job.status] ?? "";
  status.title = job.failure_reason?.message ?? "";
  count.textContent = job.num_rows?.toLocaleString() ?? "";
  const progress = row.querySelector("progress");
  if (job.num_rows) progress.max = job.num_rows;
  if (job.status === "SUCCEEDED") progress.value = progress.max;
  return row;
}

/** Follow a job's progress stream, once. */
async function watch(job) {
  if (watched.has(job.job_id)) return;
  watched.set(job.job_id, true);
  try {
    const response = await call(`stream-job-progress/${job.job_id}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop();
      for (const line of lines) progressed(job.job_id, line);
    }
  } catch {
    // The stream is a convenience: the list, which is read again and again, has the status.
  } finally {
    watched.delete(job.job_id);
  }
}

function progressed(jobId, line) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    return;
  }
  const row = document.querySelector(`tr[data-job="${CSS.escape(jobId)}"]`);
  if (row && event.update_type === "progress") row.querySelector("progress").value = event.result;
}

let shown = null;

async function showRows(jobId, offset, focus = false) {
  try {
    const page = await read(`local/jobs/${jobId}/rows?offset=${offset}&limit=${PAGE}`);
    showProblem(null);
    $("rows").hidden = false;
    $("rows-title").textContent = `Rows of ${jobId}`;
    const columns = [...columnsOf(page.rows, "input"), ...columnsOf(page.rows, "output")];
    $("rows").querySelector("thead tr").replaceChildren(
      heading("Row", "number"),
      ...columns.map(({ title }) => heading(title)),
      heading("Confidence", "number"),
    );
    const body = $("rows").querySelector("tbody");
    body.replaceChildren(...page.rows.map((one, index) => resultRow(one, offset + index, columns)));
    shown = { jobId, offset, complete: page.rows.every((one) => one.done) };
    const last = offset + page.rows.length;
    $("page").textContent = page.rows.length
      ? `Rows ${offset} to ${last - 1} of ${page.total.toLocaleString()}`
      : "No rows.";
    $("previous").disabled = offset === 0;
    $("next").disabled = last >= page.total;
    $("previous").onclick = () => showRows(jobId, Math.max(0, offset - PAGE));
    $("next").onclick = () => showRows(jobId, last);
    if (focus) $("rows-title").focus();
  } catch (error) {
    showProblem(error);
  }
}

const heading = (title, className = "") =>
  element("th", { scope: "col", className, textContent: title });

/** The fields of a JSON object, or null for any other text. */
function fieldsOf(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** One column for each field of the rows' inputs or outputs, or a single one for plain text. */
function columnsOf(rows, part) {
  const names = new Set(rows.flatMap((one) => Object.keys(fieldsOf(one[part]) ?? {})));
  const whole = part === "input" ? "Input" : "Output";
  const plain = rows.some((one) => one[part] !== null && fieldsOf(one[part]) === null);
  const columns = [...names].map((name) => ({ part, name, title: `${whole}: ${name}` }));
  return plain || !columns.length ? [{ part, name: null, title: whole }, ...columns] : columns;
}

function resultRow(one, index, columns) {
  const row = element(
    "tr",
    {},
    element("th", { scope: "row", className: "number", textContent: String(index) }),
  );
  const firstOutput = columns.find(({ part }) => part === "output");
  for (const column of columns) {
    if (column === firstOutput && one.output === null) {
      row.append(one.done ? cell("failed", "bad") : cell("not finished", "quiet"));
    } else {
      row.append(cell(valueOf(one[column.part], column.name)));
    }
  }
  row.append(cell(one.confidence === null ? "" : percent(one.confidence), "number"));
  return row;
}

function valueOf(text, name) {
  const fields = fieldsOf(text);
  if (name === null) return fields === null ? (text ?? "") : "";
  const value = fields?.[name];
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

// Requests

async function showRequests() {
  const { requests } = await read("local/requests");
  const rows = requests.map((one) =>
    element(
      "tr",
      {},
      cell(time(one.time)),
      cell(`${one.method} ${one.path}`, "json"),
      cell(String(one.status ?? ""), one.status >= 400 ? "number bad" : "number"),
      cell(one.size.toLocaleString(), "number"),
    ),
  );
  $("request-table").tBodies[0].replaceChildren(...rows);
}

// The page

let timer;

async function poll() {
  clearTimeout(timer);
  if (!sessionStorage.getItem(KEY)) return;
  if (!document.hidden) {
    try {
      await Promise.all([showJobs(), showRequests()]);
      if (shown && !shown.complete) await showRows(shown.jobId, shown.offset);
      showProblem(null);
    } catch (error) {
      showProblem(error instanceof TypeError ? new Error("The deployment does not answer.") : error);
    }
  }
  timer = setTimeout(poll, 1000 * SECONDS_BETWEEN_POLLS);
}

async function start() {
  try {
    await showFunctions();
  } catch (error) {
    showProblem(error);
    return;
  }
  poll();
}

$("login").addEventListener("close", () => {
  const key = $("key").value.trim();
  $("key").value = "";
  if (!key) return;
  sessionStorage.setItem(KEY, key);
  start();
});
$("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
document.addEventListener("visibilitychange", poll);

if (sessionStorage.getItem(KEY)) start();
else logIn();
