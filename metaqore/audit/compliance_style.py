"""The style sheet of the HTML form of a report: light, dark and on paper."""

from __future__ import annotations

STYLE = """
:root{--ink:#16202c;--soft:#566273;--paper:#fff;--panel:#f4f6f9;--line:#d9dfe8;--link:#1f55a5;--bar:#4a78b5;
--met:#00795a;--not_met:#b84300;--not_assessed:#66728a;--not_applicable:#a9b3c2;--on:#fff;--on_light:#16202c}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#9aa7b8;--paper:#10161e;--panel:#19212c;--line:#2c3746;
--link:#8ab8f5;--bar:#6a9bd8;--met:#2fb28c;--not_met:#f0803c;--not_assessed:#8793a8;--not_applicable:#4b5769;
--on:#0d131a;--on_light:#e6ebf2}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
header{border-bottom:3px solid var(--ink);margin-bottom:1.25rem;padding-bottom:1rem}
.over{margin:0;color:var(--soft);text-transform:uppercase;letter-spacing:.08em;font-size:.8rem}
h1{margin:.2rem 0;font-size:2rem;line-height:1.2}.sub{margin:0;font-size:1.1rem;color:var(--soft)}
h2{margin:2.5rem 0 .75rem;font-size:1.35rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h3{margin:1.75rem 0 .5rem;font-size:1.05rem}
.statement{background:var(--panel);border-left:4px solid var(--bar);padding:.8rem 1rem;margin:0 0 1.25rem}
.facts{display:grid;gap:.35rem;margin:0}.facts div{display:grid;grid-template-columns:8rem 1fr;gap:1rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:.75rem;list-style:none;padding:0;margin:0 0 1rem}
.tiles li{background:var(--panel);border-radius:8px;padding:.8rem 1rem}.tiles b{display:block;font-size:1.9rem}
figure{margin:1.25rem 0}figcaption{color:var(--soft);font-size:.85rem;margin-top:.35rem}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}
svg rect.met{fill:var(--met)}svg rect.not_met{fill:var(--not_met)}svg rect.not_assessed{fill:var(--not_assessed)}
svg rect.not_applicable{fill:var(--not_applicable)}svg rect.bar{fill:var(--bar)}
svg text{fill:var(--ink)}svg text.on{fill:var(--on);text-anchor:middle;font-weight:600}
svg text.on.not_applicable{fill:var(--on_light)}svg text.tick{fill:var(--soft)}svg text.end{text-anchor:end}
svg line.axis{stroke:var(--line)}
.pill{display:inline-block;white-space:nowrap;border-radius:999px;padding:.05rem .6rem;font-size:.8rem;font-weight:600;
color:var(--on);background:var(--not_assessed)}
.pill.met{background:var(--met)}.pill.not_met{background:var(--not_met)}
.pill.not_applicable{background:var(--not_applicable);color:var(--on_light)}
table{width:100%;border-collapse:collapse;font-size:.9rem}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:.5rem .6rem .5rem 0;overflow-wrap:anywhere}
td:nth-child(1){width:32%}td:nth-child(2){width:9.5rem}td:nth-child(4){width:8.5rem}
.when{white-space:nowrap;font-variant-numeric:tabular-nums}
a{color:var(--link)}.by{color:var(--soft);font-size:.82rem}
code,pre{font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--panel);border-radius:6px;padding:.7rem;white-space:pre-wrap;margin:.5rem 0}
article{border-bottom:1px solid var(--line);padding:.5rem 0}article p{margin:0}summary{color:var(--soft);cursor:pointer;
font-size:.85rem}.erased{color:var(--not_met)}:target{background:var(--panel)}
@media screen and (max-width:44rem){main{padding:1.5rem 1rem 3rem}.tiles{grid-template-columns:1fr 1fr}
.facts div{grid-template-columns:1fr;gap:0}figure{overflow-x:auto}svg{min-width:40rem}
.tiles+figure svg{min-width:0}
table,tbody,tr,td,td:nth-child(n){display:block;width:auto}thead{display:none}
tr{border-bottom:1px solid var(--line);padding:.6rem 0}td{border:0;padding:.15rem 0}
td[data-of]::before{content:attr(data-of);display:block;color:var(--soft);font-size:.8rem}.when{white-space:normal}}
@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--panel:#f2f4f7;--line:#bbb;--link:#000;--bar:#4a78b5;
--met:#00795a;--not_met:#b84300;--not_assessed:#66728a;--not_applicable:#c3cad5;--on:#fff;--on_light:#000}
@page{size:A4;margin:16mm}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:none;padding:0}body{font-size:10pt}table{font-size:8.5pt}.pill{font-size:7.5pt}.by{font-size:7.5pt}
td:nth-child(1){width:26%}td:nth-child(2){width:7rem}td:nth-child(4){width:6rem}a{text-decoration:none}details{display:none}
h2,h3{break-after:avoid}tr,article,figure,.tiles{break-inside:avoid}.check{break-before:page}}
"""
