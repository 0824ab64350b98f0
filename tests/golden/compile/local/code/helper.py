prefix = 'a'
