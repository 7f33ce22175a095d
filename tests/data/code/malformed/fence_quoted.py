# expect: code_fence
> ```python
> x = 1
> ```
