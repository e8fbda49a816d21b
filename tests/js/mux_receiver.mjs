// A webhook receiver as Mux's documentation has one: the Node SDK verifies and unwraps. Prints its port, then what it got.
import { createServer } from "node:http";
import Mux from "@mux/mux-node";

const mux = new Mux({ tokenId: "unused", tokenSecret: "unused", webhookSecret: process.env.MUX_WEBHOOK_SECRET });

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  try {
    await mux.webhooks.verifySignature(body, request.headers);
    const event = await mux.webhooks.unwrap(body, request.headers);
    console.log(JSON.stringify({ type: event.type, id: event.id, object: event.object, data: event.data }));
    response.writeHead(204).end();
  } catch (error) {
    console.log(JSON.stringify({ refused: error.message }));
    response.writeHead(400).end(error.message);
  }
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
