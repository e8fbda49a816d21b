// The watch page: waits for a stream, plays it, survives its interruptions, and waits for the next one.
//
// document.documentElement.dataset says where it is:
//   state  waiting | playing | stalled | ended | error
//   offer  what is being played: live | recording
//   live   true | false: a recording is live, too, while it grows
//   media  audio | video

import { wireControls } from "./controls.js";
import { engineName, startEngine } from "./engine.js";
import { askForOffer } from "./offer.js";

const WATCH_INTERVAL = 250;
const STALLED_AFTER = 1_500;
const INTERRUPTED_AFTER = 4_000;
const FIRST_FRAME_WITHIN = 20_000;
const SLOWEST_POLL = 10;
const HOPELESS_POLL = 15;
const QUICK_LOSSES = 4;

const root = document.documentElement;
const $ = (id) => document.getElementById(id);
const video = $("video");
const playbackId = document.body.dataset.playbackId;
const token = new URLSearchParams(location.search).get("token");
const address = `/${playbackId}.m3u8${token === null ? "" : `?token=${encodeURIComponent(token)}`}`;

let engine = null;
const controls = wireControls(
  video,
  () => engine?.edge() ?? null,
  () => engine?.sounds() ?? [],
  (index) => engine?.choose(index),
);

function show(state, headline = "", detail = "", action = null) {
  root.dataset.state = state;
  if ($("headline").textContent !== headline) $("headline").textContent = headline;
  $("detail").textContent = detail;
  $("action").hidden = action === null;
  if (action !== null) [$("action").textContent, $("action").onclick] = action;
  $("state-text").textContent = { playing: nowPlaying(), stalled: "Interrupted", ended: "Ended" }[state] ?? "Off air";
}

function nowPlaying() {
  return root.dataset.live === "true" ? "On air" : "Recording";
}

/** Wait; cut short when the viewer comes back to the page or to the network. */
function pause(seconds) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
      removeEventListener("online", done);
      resolve();
    };
    const onVisible = () => document.visibilityState === "visible" && done();
    const timer = setTimeout(done, seconds * 1000);
    document.addEventListener("visibilitychange", onVisible);
    addEventListener("online", done);
  });
}

/** Ask until there is something to play. `before`: null, or how the last playback ended. */
async function untilPlayable(before) {
  for (let attempt = 0; ; attempt++) {
    const offer = await askForOffer(address);
    if (offer.kind === "live" || offer.kind === "recording") return offer;
    announce(offer.kind, before);
    if (offer.kind === "idle" || offer.kind === "over") before = { ...before, outcome: "ended" };
    const hopeless = offer.kind === "missing" || offer.kind === "refused";
    const backoff = hopeless ? HOPELESS_POLL : Math.min(SLOWEST_POLL, 1.5 * 1.12 ** attempt);
    // Spread: everybody waits for the same moment.
    await pause(Math.max(offer.retryAfter, backoff) * (0.85 + 0.3 * Math.random()));
  }
}

function announce(kind, before) {
  switch (kind) {
    case "idle":
      return show("waiting", "Waiting for the stream to start", "This page goes live by itself.");
    case "over":
      return show("ended", "The stream has ended", "This page goes live again with the next one.");
    case "missing":
      return show("error", "There is no stream here", "Check the address, or wait for it to be set up.");
    case "refused":
      return show("error", "This stream cannot be watched with this address", "Ask for a new link.");
    default:
      return before?.outcome === "lost"
        ? show("stalled", "Stream interrupted", "Waiting for it to come back…")
        : show("waiting", "The server does not answer", "Trying again…");
  }
}

/** Play one offer. Resolves to {outcome: "ended" | "lost", unsupported, played}. */
function play(offer) {
  return new Promise((resolve) => {
    const began = performance.now();
    let movedAt = began;
    let position = -1;
    let played = false;

    const finish = (outcome, unsupported = false) => {
      clearInterval(watch);
      video.onended = null;
      if (outcome === "lost" || offer.kind === "live") {
        engine.stop();
        engine = null;
      }
      resolve({ outcome, unsupported, played });
    };

    const look = () => {
      const now = performance.now();
      const live = String(engine.edge() !== null);
      if (root.dataset.live !== live) {
        root.dataset.live = live;
        if (root.dataset.state === "playing") show("playing");
      }
      if (video.currentTime !== position) {
        if (position >= 0 && video.currentTime > position && !video.seeking) {
          played = true;
          if (root.dataset.state !== "playing") show("playing");
        }
        position = video.currentTime;
        movedAt = now;
      } else if (played && !video.paused && now - movedAt > STALLED_AFTER) {
        stalled(now - movedAt);
      } else if (!played && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA && video.paused) {
        show("waiting", "Ready to play", "", ["Play", () => video.play().catch(() => {})]);
      } else if (!played && now - began > FIRST_FRAME_WITHIN) {
        finish("lost");
      }
      controls.update();
    };

    const stalled = (age) => {
      const interrupted = age > INTERRUPTED_AFTER;
      show("stalled", interrupted ? "Stream interrupted" : "", interrupted ? "Waiting for it to come back…" : "");
      jumpHole();
    };

    root.dataset.offer = offer.kind;
    root.dataset.media = offer.audioOnly ? "audio" : "video";
    video.onended = () => finish("ended");
    engine = startEngine(video, address, (unsupported) => finish("lost", unsupported));
    const watch = setInterval(look, WATCH_INTERVAL);
    video.play().catch(() => {});
  });
}

/** After an interruption the next media may lie beyond a hole in the timeline. */
function jumpHole() {
  const { buffered, currentTime } = video;
  for (let i = 0; i < buffered.length; i++) {
    if (buffered.start(i) > currentTime) {
      video.currentTime = buffered.start(i) + 0.05;
      return;
    }
  }
}

/** A recording stands at its end until the viewer wants it again, by button or key. */
function untilWantedAgain() {
  return new Promise((resolve) => {
    show("ended", "The recording has ended", "", ["Watch again", resolve]);
    video.addEventListener("play", resolve, { once: true });
  });
}

async function watchForever() {
  let before = null;
  let losses = 0;
  for (;;) {
    const offer = await untilPlayable(before);
    if (offer.broadcast !== before?.broadcast) losses = 0;
    before = { ...(await play(offer)), broadcast: offer.broadcast };
    if (before.outcome === "ended") {
      losses = 0;
      if (offer.kind === "recording") {
        await untilWantedAgain();
        engine.stop();
      } else {
        announce("over");
        await pause(2);
      }
      continue;
    }
    losses = before.played ? 0 : losses + 1;
    if (before.unsupported || losses >= QUICK_LOSSES) {
      show("error", "This browser cannot play this stream", "Its format may not be supported here.");
      await pause(HOPELESS_POLL);
    } else {
      if (before.played) show("stalled", "Stream interrupted", "Waiting for it to come back…");
      await pause(1);
    }
  }
}

if (engineName(video) === null) {
  show("error", "This browser cannot play HLS", `Any HLS player can open ${location.origin}${address}`);
} else {
  if (engineName(video) === "native" && !document.querySelector("script[data-hls]")) {
    $("note").textContent = "Playing with the browser's own HLS player; hls.js was not built in.";
    $("note").hidden = false;
  }
  watchForever();
}
