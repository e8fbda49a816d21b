// What the server has to play right now.

/**
 * Ask once. Resolves to {kind, retryAfter, audioOnly, broadcast}, never rejects. kind is
 *   "live"         a running broadcast
 *   "over"         the last playlist of a broadcast that has ended
 *   "recording"    an asset: growing while it is made, then complete
 *   "idle"         known, not playable now (412)
 *   "refused"      a bad token or address (400, 403)
 *   "missing"      no such playback ID (404)
 *   "unreachable"  no answer, or one that means try again
 */
export async function askForOffer(address) {
  const nothing = { retryAfter: 0, audioOnly: false, broadcast: null };
  try {
    const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "0", 10) || 0;
    if (!response.ok) return { ...nothing, kind: refusals[response.status] ?? "unreachable", retryAfter };
    const variants = await response.text();
    const first = variants.split("\n").find((line) => line && !line.startsWith("#"));
    const listed = await fetch(new URL(first, response.url), {
      cache: "no-store",
      signal: AbortSignal.timeout(10_000),
    });
    if (!listed.ok) return { ...nothing, kind: listed.status === 412 ? "idle" : "unreachable", retryAfter };
    const playlist = await listed.text();
    return {
      kind: kindOf(playlist),
      retryAfter,
      audioOnly: !variants.includes("RESOLUTION="),
      broadcast: playlist.split("\n").find((line) => line && !line.startsWith("#"))?.split("/")[0] ?? null,
    };
  } catch {
    return { ...nothing, kind: "unreachable" };
  }
}

const refusals = { 400: "refused", 403: "refused", 404: "missing", 412: "idle" };

function kindOf(playlist) {
  if (playlist.includes("#EXT-X-PLAYLIST-TYPE:")) return "recording";
  return playlist.includes("#EXT-X-ENDLIST") ? "over" : "live";
}
