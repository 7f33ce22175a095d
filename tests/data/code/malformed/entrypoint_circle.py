# expect: entrypoint
class A(B):
    pass


class B(A):
    pass


class Hostile(A):
    pass
