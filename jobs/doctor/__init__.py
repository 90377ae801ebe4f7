"""`crbatch doctor`: whether this machine, or this machine and a cluster, is fit for a run.

`facts` and `folder` look, on any machine; `verdicts` judge what was seen; `examine` composes; `text` prints.
"""
