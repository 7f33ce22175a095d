# expect: cut_off
import talib
from backtesting import