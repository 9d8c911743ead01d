// Opens /docs of the server in a DOM, submits a run with its form, and prints what happened.
import { Browser } from "happy-dom";

const base = process.argv[2];
const asked = [];
const browser = new Browser({
  settings: {
    enableJavaScriptEvaluation: true,
    suppressInsecureJavaScriptEnvironmentWarning: true,
    fetch: {
      interceptor: {
        beforeAsyncRequest: async ({ request }) => void asked.push(request.url),
        beforeSyncRequest: ({ request }) => void asked.push(request.url),
      },
    },
  },
});
const page = browser.newPage();
await page.goto(`${base}/docs`);
const { document, Event } = page.mainFrame.window;

// The test that starts this has a time limit.
async function until(condition) {
  while (!condition()) await new Promise((resume) => setTimeout(resume, 10));
}

await until(() => !document.getElementById("operations").hasAttribute("aria-busy"));
const listed = [...document.querySelectorAll("details.operation")].map((node) => node.id);

function open(id) {
  const details = document.getElementById(id);
  details.open = true;
  details.dispatchEvent(new Event("toggle"));
  return details;
}

async function send(details) {
  details.querySelector("button.send").click();
  const [curl, head, body] = details.querySelectorAll("pre");
  await until(() => body.textContent || head.textContent.startsWith("No answer"));
  return { curl: curl.textContent, status: head.textContent.split(" ")[0], body: body.textContent };
}

const form = open("submitRun");
form.querySelector("textarea").value = JSON.stringify({ team: "writers", input: "<b>Go</b>" });
form.querySelector("input[aria-label^=wait]").value = "30";
document.getElementById("key").value = "secret-key";
const submitted = await send(form);
const run = JSON.parse(submitted.body);

const read = open("getRun");
read.querySelector("input[aria-label^=run_id]").value = run.id;
const got = await send(read);

const list = open("listRuns");
list.querySelector("input[aria-label^=metadata]").value = "customer=42";
const none = await send(list);

open("schema-Run");
const filter = document.getElementById("filter");
filter.value = "cancel";
filter.dispatchEvent(new Event("input"));
const left = [...document.querySelectorAll("details.operation")].filter((node) => !node.hidden);

console.log(
  JSON.stringify({
    listed,
    asked,
    submitted: submitted.status,
    curl: submitted.curl,
    status: run.status,
    got: [got.status, JSON.parse(got.body).id === run.id],
    none: JSON.parse(none.body).data,
    markup: document.querySelectorAll("pre b").length,
    fields: document.querySelectorAll("#schema-Run tbody tr").length,
    left: left.map((node) => node.id),
  }),
);
await browser.close();
