"""Bodies of tasks: HTML as the service keeps it, and the text of it."""
import html
import re
from html.parser import HTMLParser

KEPT = ('a', 'b', 'blockquote', 'br', 'code', 'div', 'em', 'h1', 'h2', 'h3', 'hr', 'i', 'li', 'ol', 'p', 'pre',
        's', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'u', 'ul')
BREAKS = ('blockquote', 'div', 'h1', 'h2', 'h3', 'li', 'p', 'pre', 'tr')
BLANKS = ' \t\r\n'    # of HTML; a no-break space is none
WRAPPED = ('<html>\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n</head>\r\n'
           '<body>\r\n%s\r\n</body>\r\n</html>\r\n')


class Cleaner(HTMLParser):
    """What is left of HTML: known tags in lower case, href, and text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.clean, self.text, self.silent = [], [], 0

    def handle_starttag(self, tag, attrs):
        if tag in ('script', 'style', 'head', 'title'):
            self.silent += 1
        if self.silent or tag not in KEPT:
            return
        links = ''.join(' href="%s"' % html.escape(value) for name, value in attrs
                        if tag == 'a' and name == 'href' and re.match(r'(?:https?|mailto):', value or '', re.I))
        self.clean.append('<%s%s>' % (tag, links))
        if tag == 'br':
            self.text.append('\r\n')

    def handle_endtag(self, tag):
        if tag in ('script', 'style', 'head', 'title'):
            self.silent = max(0, self.silent - 1)
        elif not self.silent and tag in KEPT and tag not in ('br', 'hr'):
            self.clean.append('</%s>' % tag)
            if tag in BREAKS:
                self.text.append('\r\n')

    def handle_data(self, data):
        if not self.silent:
            self.clean.append(html.escape(data, quote=False))
            self.text.append(data)


def cleaned(markup):
    cleaner = Cleaner()
    cleaner.feed(markup)
    cleaner.close()
    return cleaner


def wrapped(markup):
    """HTML as it comes back."""
    return WRAPPED % ''.join(cleaned(markup).clean).strip(BLANKS)


def from_text(text):
    return WRAPPED % re.sub(r'\r?\n', '<br>\r\n', html.escape(text, quote=False))


def to_text(markup):
    # Line ends of markup are no line ends of the text
    markup = re.sub(r'[ \t]*[\r\n][ \t\r\n]*', ' ', markup)
    return re.sub(r'[ \t]*\r\n[ \t]*', '\r\n', ''.join(cleaned(markup).text)).strip(BLANKS)
