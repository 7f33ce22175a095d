# expect: prose
I'm sorry, but I can't write that strategy.
