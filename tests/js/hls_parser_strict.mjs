// Reads playlists as JSON lines ({name, text}) and prints what a strict hls-parser thinks of each, as JSON lines.
import HLS from "hls-parser";
import { createInterface } from "node:readline";

HLS.setOptions({ strictMode: true, silent: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { name, text } = JSON.parse(line);
  let error = null;
  try {
    HLS.parse(text);
  } catch (thrown) {
    error = String(thrown.message);
  }
  console.log(JSON.stringify({ name, error }));
}
