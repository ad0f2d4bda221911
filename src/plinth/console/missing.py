"""What `/console/` says when the web app has not been built."""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Plinth</title>
<style nonce="{nonce}">
body {{ font: 16px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
       max-width: 40em; margin: 12vh auto; padding: 0 1em; color: #1f2733; background: #fff; }}
code {{ background: #f0f2f5; padding: .1em .4em; border-radius: 4px; }}
</style>
</head>
<body>
<main>
<h1>控制台尚未构建</h1>
<p>平台本身在正常运行，API 可以使用。在源码目录中运行 <code>make console</code>（需要 Node 20.19 或更高版本），
然后刷新此页；不需要重启。正式发布的安装包自带控制台。</p>
<div lang="en">
<h2>The console has not been built</h2>
<p>The platform itself runs and its API works. Run <code>make console</code> in the source folder (it needs
Node 20.19 or newer), then reload this page; nothing needs to be restarted. Released packages come with the console.</p>
</div>
</main>
</body>
</html>
"""


def missing_page(nonce: str) -> str:
    return _PAGE.format(nonce=nonce)
