# expect: json
{"fixed_code": "import talib", "explanation": "done", "changes": []}
