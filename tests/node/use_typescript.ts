// What a user does with the types that openapi-typescript makes; type-checked and run by a test.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

const client = createClient<paths>({ baseUrl: process.argv[2] });

// A body has exactly one of both, and what has a default may be left out.
const body: Schemas["RunRequest"] = { team: "writers", input: "Go" };
// @ts-expect-error: a run has an input
export const noInput: Schemas["RunRequest"] = { team: "writers" };
// @ts-expect-error: there is no such status
export const noStatus: Schemas["RunStatus"] = "done";

async function main() {
  const { data: run, error } = await client.POST("/v1/runs", {
    body,
    params: { query: { wait: 30 } },
  });
  if (!run) throw new Error(error.detail);
  const status: Schemas["RunStatus"] = run.status;
  const path = { run_id: run.id };
  const { data: result } = await client.GET("/v1/runs/{run_id}/result", { params: { path } });
  const { data: files } = await client.GET("/v1/runs/{run_id}/artifacts", { params: { path } });
  const name: string | undefined = files?.data[0].name;
  const file = await client.GET("/v1/runs/{run_id}/artifacts/{name}", {
    params: { path: { ...path, name: name ?? "" } },
    parseAs: "text",
  });
  const { data: child } = await client.POST("/v1/runs/{run_id}/fork", {
    params: { path },
    body: { after_seq: 3, limits: { max_turns: 2 } },
  });
  const { error: refused } = await client.POST("/v1/runs/{run_id}/resume", {
    params: { path },
    body: { limits: { max_cost_usd: "2" } },
  });
  const { data: runs } = await client.GET("/v1/runs", {
    params: { query: { status: "completed", limit: 5, order: "asc" } },
  });
  const turns: number | undefined = child?.progress.turn;
  console.log(
    JSON.stringify({
      status,
      output: result?.output?.text,
      file: file.data,
      parent: child?.parent_run_id === run.id,
      refused: refused?.code,
      listed: runs?.data.some((each) => each.id === run.id),
      turns: typeof turns,
    }),
  );
}

void main();
