"""When to misbehave, and how: FOLDER/mode."""
import os
import random
import re
import threading

SCOPES = ('graph', 'login', 'part')
WORDS = {'pass': 0, 'throttle': 1, 'status': 1, 'retry-after': 1, 'unauthorized': 0, 'fail-after': 1, 'lost': 0,
         'close': 0, 'truncate': 0, 'html': 0, 'empty': 0, 'array': 0, 'redirect': 1, 'link-host': 1, 'loop': 0, 'drop': 1,
         'huge': 1, 'slow': 1,
         'silent': 0, 'echo': 0, 'chaos': 2}
OF_PARTS = ('pass', 'throttle', 'status', 'retry-after', 'fail-after', 'echo')
CHAOS = ('close', 'close', 'lost', 'lost', 'lost', 'truncate', 'fail-after 500', 'status 500', 'status 502',
         'status 503', 'throttle 0.2', 'retry-after 1', 'slow 0.2', 'html', 'unauthorized', 'empty')


class Rule:
    """[graph|login|part] [METHOD] [~REGEX] MODE [ARGUMENT …] [skip N] [times N]"""

    def __init__(self, line):
        words = line.split()
        self.scope = words.pop(0) if words[0] in SCOPES else 'graph'
        self.method = words.pop(0) if words and words[0].isupper() else None
        self.pattern = re.compile(words.pop(0)[1:]) if words and words[0].startswith('~') else None
        self.mode = words.pop(0) if words else ''
        if self.mode not in WORDS or self.scope == 'part' and self.mode not in OF_PARTS:
            raise ValueError('no such mode: %s' % line)
        self.arguments = [words.pop(0) for _ in range(WORDS[self.mode]) if words and words[0] not in ('skip', 'times')]
        self.skip, self.times = 0, None
        while words:
            setattr(self, {'skip': 'skip', 'times': 'times'}[words.pop(0)], int(words.pop(0)))
        self.count = 0

    def takes(self, scope, method, path):
        """Whether the rule is for this request, which is then counted."""
        if (scope != self.scope or self.method not in (None, method)
                or self.pattern and not self.pattern.search(path)):
            return False
        self.count += 1
        return self.count > self.skip and (self.times is None or self.count <= self.skip + self.times)


class Faults:
    def __init__(self, folder):
        self.file, self.lock = os.path.join(folder, 'mode'), threading.Lock()
        self.read, self.rules = None, []

    def pick(self, scope, method, path):
        """The mode and its arguments for a request."""
        with self.lock:
            self.refresh()
            for rule in self.rules:
                if rule.takes(scope, method, path):
                    return chaos(rule) if rule.mode == 'chaos' else [rule.mode] + rule.arguments
        return ['pass']

    def refresh(self):
        """Reads the rules when they are others than before; their counts begin anew."""
        try:
            with open(self.file, encoding='utf-8') as file:
                stat = os.fstat(file.fileno())
                read = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if read != self.read:
                    self.rules = [Rule(line) for line in file if line.strip()]
                    self.read = read
        except FileNotFoundError:
            self.read, self.rules = None, []


def chaos(rule):
    seed, percent = rule.arguments
    dice = random.Random('%s %d' % (seed, rule.count))
    return dice.choice(CHAOS).split() if dice.random() * 100 < float(percent) else ['pass']
