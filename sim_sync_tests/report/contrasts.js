// For every visible text: its contrast with the ground behind it (WCAG 2.2, relative luminance).
() => {
  const channels = (color) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = channels(getComputedStyle(one).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const opacity = (element) => {
    let found = 1;
    for (let one = element; one; one = one.parentElement) found *= Number(getComputedStyle(one).opacity);
    return found;
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style, title")) continue;
    const style = getComputedStyle(element);
    const back = ground(element).slice(0, 3);
    const alpha = opacity(element);
    const ink = channels(element.closest("svg") ? style.fill : style.color).slice(0, 3).map((value, place) => value * alpha + back[place] * (1 - alpha));
    const [light, dark] = [luminance(ink), luminance(back)].sort((a, b) => b - a);
    const key = `${element.className.baseVal ?? element.className}|${element.tagName}`;
    found.set(key, { what: key, text: walker.currentNode.data.trim().slice(0, 40), contrast: (light + 0.05) / (dark + 0.05) });
  }
  return [...found.values()];
}
