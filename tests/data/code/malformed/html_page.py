# expect: prose
<!DOCTYPE html>
<html><body><pre>import talib</pre></body></html>
