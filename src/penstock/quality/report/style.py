"""The style of the page: light and dark as the reader has it, nothing from outside."""

STYLE = """
:root{--paper:#fbfaf7;--card:#fff;--ink:#1d2329;--soft:#67717b;--line:#e4e1d9;--good:#1f8a5b;--bad:#c8402f;
--warn:#b7791f;--none:#9aa2aa;--bar:#e9e6de;--accent:#14607a;--code:#f3f1eb}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1b2026;--ink:#e6e9ec;--soft:#97a1ab;--line:#2b323a;
--good:#48c08a;--bad:#f0705e;--warn:#e0a94a;--none:#66717c;--bar:#2a3139;--accent:#6cc0dc;--code:#222930}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:68rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem;letter-spacing:-.01em}
h2{font-size:1.05rem;margin:2.5rem 0 .75rem}
p{margin:.25rem 0}.soft{color:var(--soft)}.right{text-align:right;font-variant-numeric:tabular-nums}
header{display:flex;gap:1.75rem;align-items:center;flex-wrap:wrap}header>div{flex:1 1 20rem}
.facts{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.75rem 0 0;padding:0;list-style:none}
.facts li{flex:1 1 8rem;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}
.facts b{display:block;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums}
.facts span{color:var(--soft);font-size:.82rem}
.rule{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--none);border-radius:.6rem;
margin:.6rem 0;padding:.75rem 1rem}
.rule.passed{border-left-color:var(--good)}.rule.failed,.rule.error{border-left-color:var(--bad)}
.rule.failed.as-warning,.rule.error.as-warning{border-left-color:var(--warn)}
.rule.failed.as-info,.rule.error.as-info{border-left-color:var(--accent)}
.top{display:flex;gap:1rem;align-items:baseline;flex-wrap:wrap}.top>b{flex:1 1 18rem;overflow-wrap:anywhere}
.tag{font-size:.75rem;padding:.05rem .5rem;border-radius:1rem;border:1px solid currentColor;white-space:nowrap}
.tag.passed{color:var(--good)}.tag.failed,.tag.error{color:var(--bad)}.tag.warning{color:var(--warn)}
.tag.info,.tag.skipped{color:var(--soft)}
code{background:var(--code);border-radius:.3rem;padding:.05rem .3rem;font:.86em ui-monospace,Menlo,Consolas,monospace;
overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;
overflow-wrap:anywhere}
th{color:var(--soft);font-weight:500}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}details{margin:.5rem 0 0}summary{cursor:pointer;color:var(--accent);font-size:.88rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.4rem .4rem .2rem}
.null{color:var(--none);font-style:italic}svg{display:block}footer{margin-top:3rem;color:var(--soft);font-size:.82rem}
@media print{body{background:#fff}.rule,.card,.facts li{break-inside:avoid}}
"""
