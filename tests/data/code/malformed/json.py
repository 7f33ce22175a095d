# expect: json
{"code": "import os", "entrypoint": "Hostile"}
