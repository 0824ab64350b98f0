from helper import prefix

def init(): ...

def run(mini_batch): return mini_batch
