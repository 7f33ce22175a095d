# expect: prose
if the price is above its mean then buy
otherwise do nothing
