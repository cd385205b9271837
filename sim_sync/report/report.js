// Tables that sort and filter. Without this script they are complete, in the order in which they were written.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const order = (row, place) => row.cells[place].dataset.order ?? row.cells[place].textContent.trim();
  const isNumber = (place) => [...body.rows].every((row) => order(row, place) === "" || !isNaN(order(row, place)) && row.cells[place].dataset.order !== undefined);
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const byNumber = isNumber(place);
      const was = head.getAttribute("aria-sort");
      const first = byNumber ? "descending" : "ascending";
      const other = byNumber ? "ascending" : "descending";
      const now = was === first ? other : first;
      const sign = now === "ascending" ? 1 : -1;
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", now);
      const compare = (a, b) => byNumber ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: false });
      body.append(...[...body.rows].sort((a, b) => sign * compare(order(a, place), order(b, place))));
    });
  });
}
for (const filter of document.querySelectorAll(".filter")) {
  const input = filter.querySelector("input");
  const told = filter.querySelector("output");
  const rows = [...document.getElementById(filter.dataset.of).tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  filter.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    told.value = words.length ? `${shown} of ${rows.length} rows` : "";
  });
}
