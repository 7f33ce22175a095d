# expect: diff
--- a/strategy.py
+++ b/strategy.py
@@ -1,2 +1,2 @@
-import os
+import sys
