# expect: json
["import talib", "class A: pass"]
