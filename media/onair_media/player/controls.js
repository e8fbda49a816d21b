// Buttons, sliders, keys: everything a viewer touches. Knows the <video>, not where its media comes from.

const POINTER_REST = 2_500;
const AT_EDGE = 5;
const REWINDABLE = 60;

const $ = (id) => document.getElementById(id);

/** "1:02:03" or "2:03". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(s).padStart(2, "0")}`;
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

/**
 * Wire the controls to `video`. `edge()`: where a live viewer should be, or null while nothing is live. `sounds()`: the
 * audio tracks, [{name, chosen}]; `choose(index)`: play that one.
 * Returns {update}, to be called several times a second.
 */
export function wireControls(video, edge, sounds, choose) {
  const [player, seek, time, live] = [$("player"), $("seek"), $("time"), $("live")];
  const menu = $("sounds");
  let seeking = false;

  const range = () => {
    const { seekable } = video;
    return seekable.length ? [seekable.start(0), edge() ?? seekable.end(seekable.length - 1)] : [0, 0];
  };
  const togglePlay = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  const setMuted = (muted) => {
    video.muted = muted;
    if (!muted && video.volume === 0) video.volume = 0.5;
  };
  const goLive = () => {
    const position = edge();
    if (position !== null) video.currentTime = position;
    video.play().catch(() => {});
  };
  const seekBy = (seconds) => {
    const [start, end] = range();
    video.currentTime = Math.min(end, Math.max(start, video.currentTime + seconds));
  };
  const toggleFullscreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  };

  $("play").onclick = togglePlay;
  $("mute").onclick = () => setMuted(!video.muted);
  $("unmute").onclick = () => setMuted(false);
  $("fullscreen").onclick = toggleFullscreen;
  live.onclick = goLive;
  menu.onchange = () => choose(menu.selectedIndex);
  $("volume").oninput = (event) => {
    video.volume = Number(event.target.value);
    video.muted = video.volume === 0;
  };
  seek.oninput = () => {
    seeking = true;
    const [start, end] = range();
    video.currentTime = start + Number(seek.value) * (end - start);
  };
  seek.onchange = () => { seeking = false; };
  video.onclick = () => {
    if (matchMedia("(hover: hover)").matches) togglePlay();
    else wake();
  };
  video.ondblclick = toggleFullscreen;

  const keys = {
    " ": togglePlay,
    k: togglePlay,
    m: () => setMuted(!video.muted),
    f: toggleFullscreen,
    l: goLive,
    End: goLive,
    Home: () => { video.currentTime = range()[0]; },
    ArrowLeft: () => seekBy(-5),
    ArrowRight: () => seekBy(5),
    j: () => seekBy(-10),
  };
  document.addEventListener("keydown", (event) => {
    const onSlider = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    const onButton = event.target instanceof HTMLButtonElement;
    if (event.ctrlKey || event.metaKey || event.altKey || onSlider || (onButton && event.key === " ")) return;
    const action = document.documentElement.dataset.state === "waiting" ? null : keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
    wake();
  });

  let rest;
  function wake() {
    player.classList.remove("idle-pointer");
    clearTimeout(rest);
    rest = setTimeout(() => player.classList.add("idle-pointer"), POINTER_REST);
  }
  for (const type of ["pointermove", "pointerdown", "focusin"]) player.addEventListener(type, wake);
  player.addEventListener("pointerleave", () => player.classList.add("idle-pointer"));
  wake();

  function update() {
    const isLive = edge() !== null;
    const [start, end] = range();
    player.classList.toggle("paused", video.paused);
    player.classList.toggle("muted", video.muted);
    $("play").setAttribute("aria-label", video.paused ? "Play" : "Pause");
    $("mute").setAttribute("aria-label", video.muted ? "Unmute" : "Mute");
    $("unmute").hidden = !video.muted || video.paused;
    fill($("volume"), video.muted ? 0 : video.volume);

    const windowOnly = isLive && document.documentElement.dataset.offer === "live";
    seek.hidden = end - start <= (windowOnly ? REWINDABLE : 0);
    if (!seek.hidden && !seeking) {
      fill(seek, Math.min(1, Math.max(0, (video.currentTime - start) / (end - start))));
      seek.setAttribute("aria-valuetext", isLive ? `${clock(end - video.currentTime)} behind live` : clock(video.currentTime));
    }
    time.textContent = isLive || !end ? "" : `${clock(video.currentTime - start)} / ${clock(end - start)}`;

    showSounds();
    live.hidden = !isLive;
    const behind = isLive ? end - video.currentTime : 0;
    const atEdge = behind < AT_EDGE && !video.paused;
    live.classList.toggle("at-edge", atEdge);
    $("live-text").textContent = atEdge ? "Live" : `${clock(behind)} behind · Go live`;
    live.setAttribute("aria-label", atEdge ? "Live" : `${clock(behind)} behind live. Go live`);
  }
  function showSounds() {
    const tracks = sounds();
    menu.hidden = tracks.length < 2;
    const names = tracks.map(({ name }) => name);
    if (names.join("\n") !== Array.from(menu.options, ({ text }) => text).join("\n")) {
      menu.replaceChildren(...names.map((name) => new Option(name)));
    }
    if (document.activeElement !== menu) menu.selectedIndex = tracks.findIndex(({ chosen }) => chosen);
  }
  for (const type of ["play", "pause", "volumechange", "durationchange", "seeked"]) video.addEventListener(type, update);
  return { update };
}

function fill(slider, fraction) {
  slider.value = String(fraction);
  slider.style.setProperty("--filled", `${fraction * 100}%`);
}
