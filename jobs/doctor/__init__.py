"""`crbatch doctor`: whether this machine, or this machine and a cluster, is fit for a run.

`facts` and `folder` look, on any machine; `judge_*` judge what was seen; `examine` composes; `text` prints `lines`.
"""
