// Draws each chart in the colours of the page, again when these change from light to dark, and dark to print.
const charts = JSON.parse(document.getElementById("charts").textContent);
const marks = ["#1f77b4", "#e07b28", "#2a9d5c", "#c2417c", "#7a5fc7", "#8c6d31"];
const bright = ["#7fb2ff", "#ffb066", "#6fdca0", "#ff8fc0", "#bda6ff", "#dcc27a"];

function colours(dark, width) {
  const narrow = width < 420;
  const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const text = { labelColor: of("--soft"), titleColor: of("--ink"), gridColor: of("--line"), domainColor: of("--line"), tickColor: of("--line") };
  const range = dark ? bright : marks;
  return {
    background: "transparent", view: { stroke: null }, font: "system-ui, sans-serif",
    axis: { ...text, labelFontSize: 11, titleFontSize: 12, titleFontWeight: 500, labelLimit: narrow ? 140 : 180, labelOverlap: "greedy", labelSeparation: 6 },
    legend: { labelColor: of("--ink"), orient: "top", labelFontSize: 11, columns: narrow ? 1 : width < 800 ? 2 : 0 },
    range: { category: range }, mark: { color: range[0] }, area: { line: { color: range[0] } },
  };
}

async function draw(dark) {
  for (const [number, chart] of charts.entries()) {
    const place = document.getElementById(`chart-${number}`);
    await vegaEmbed(place, { ...chart.spec, description: `${chart.title}: ${chart.description}` },
      { actions: false, renderer: "svg", config: colours(dark, place.clientWidth), tooltip: { theme: dark ? "dark" : "light" } });
  }
  document.documentElement.dataset.drawn = String(charts.length);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => draw(dark.matches));
addEventListener("beforeprint", () => draw(false));
addEventListener("afterprint", () => draw(dark.matches));
draw(dark.matches);
