// A receiver of webhooks in Express.
//
//     npm install express standardwebhooks
//     WEBHOOK_SECRET=whsec_... PORT=3000 node receiver.mjs

import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const handled = new Set(); // a table with a unique index, in your service
const app = express();

// The signature is that of the bytes: do not parse the body before it is verified.
app.post("/hook", express.raw({ type: "application/json" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch {
    response.status(401).end();
    return;
  }
  if (!handled.has(event.id)) {
    // the same event may come again
    handled.add(event.id);
    console.log(event.type, event.run_id ?? event.batch_id); // or start your own work
  }
  response.status(204).end();
});

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.error(`listening on ${server.address().port}`);
});
