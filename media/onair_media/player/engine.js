// Playing an HLS address in a <video>: through hls.js wherever it runs, natively elsewhere.

const NATIVE_TYPE = "application/vnd.apple.mpegurl";
const RECOVERY_PAUSE = 5_000;
const NATIVE_HOLD_BACK = 6;

/** "hls.js", "native" or null: this browser cannot play HLS. */
export function engineName(video) {
  if (window.Hls?.isSupported()) return "hls.js";
  return video.canPlayType(NATIVE_TYPE) ? "native" : null;
}

/**
 * Start playing. `lost(unsupported)` is called at most once, when playback cannot go on by itself.
 * Returns {edge(), sounds(), choose(index), stop()}: edge() is where a live viewer should be, in the video's seconds; null
 * if not live. sounds() are the audio tracks, [{name, chosen}].
 */
export function startEngine(video, address, lost) {
  return engineName(video) === "hls.js" ? startHls(video, address, lost) : startNative(video, address, lost);
}

function startHls(video, address, lost) {
  const Hls = window.Hls;
  const patient = {
    maxTimeToFirstByteMs: 10_000,
    maxLoadTimeMs: 20_000,
    timeoutRetry: { maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: 6, retryDelayMs: 500, maxRetryDelayMs: 4_000 },
  };
  const hls = new Hls({
    liveDurationInfinity: true,
    lowLatencyMode: false,
    liveSyncDurationCount: 3,
    maxLiveSyncPlaybackRate: 1.05,
    backBufferLength: 60,
    playlistLoadPolicy: { default: patient },
    fragLoadPolicy: { default: patient },
  });
  let recoveredAt = -Infinity;
  hls.on(Hls.Events.ERROR, (_event, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !data.details.includes("manifest")) {
      if (performance.now() - recoveredAt > RECOVERY_PAUSE) {
        recoveredAt = performance.now();
        hls.recoverMediaError();
        return;
      }
    }
    lost(data.details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR);
  });
  hls.loadSource(address);
  hls.attachMedia(video);
  return {
    edge: () => (hls.latestLevelDetails?.live ? hls.liveSyncPosition : null),
    sounds: () => hls.audioTracks.map((track, index) => ({ name: track.name, chosen: index === hls.audioTrack })),
    choose: (index) => { hls.audioTrack = index; },
    stop: () => hls.destroy(),
  };
}

function startNative(video, address, lost) {
  const onError = () => lost(video.error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED && video.readyState > 0);
  video.addEventListener("error", onError, { once: true });
  video.src = address;
  return {
    edge: () => {
      const { seekable, duration } = video;
      return duration === Infinity && seekable.length
        ? Math.max(seekable.start(0), seekable.end(seekable.length - 1) - NATIVE_HOLD_BACK)
        : null;
    },
    sounds: () => Array.from(video.audioTracks ?? [], ({ label, language, enabled }, index) => (
      { name: label || language || `Track ${index + 1}`, chosen: enabled }
    )),
    choose: (index) => Array.from(video.audioTracks ?? []).forEach((track, i) => { track.enabled = i === index; }),
    stop: () => {
      video.removeEventListener("error", onError);
      video.removeAttribute("src");
      video.load();
    },
  };
}
