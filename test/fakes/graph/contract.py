"""What a request and an answer must look like: todo.yaml, compiled."""
import os

import jsonschema
import yaml

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'todo.yaml')
ERROR = 'microsoft.graph.ODataErrors.ODataError'


class Contract:
    """The paths and the schemas.  Ends the program when one of them is of no use."""

    def __init__(self, file=FILE):
        with open(file, encoding='utf-8') as text:
            document = yaml.load(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
        self.schemas = document['schemas']
        self.paths, self.routes = {}, []
        for path, methods in document['paths'].items():
            self.paths[path] = {method: self.compiled(path, method, entry) for method, entry in methods.items()}
            self.routes.append((path.strip('/').split('/'), path))
        # A word goes before a parameter: "delta" is no id
        self.routes.sort(key=lambda route: sum(is_parameter(part) for part in route[0]))
        self.error = self.validator({'$ref': '#/schemas/' + ERROR})

    def compiled(self, path, method, entry):
        request = entry.get('request')
        result = {'query': entry.get('query', []),
                  'request': request and self.validator(request),
                  'response': self.validator(entry['response']) if 'response' in entry else None}
        if request:
            strict = 'tasksync.' in request.get('$ref', '')
            refuses_what_is_wrong('%s %s' % (method, path), result['request'], strict)
        return result

    def validator(self, schema):
        schema = self.inlined(schema)
        jsonschema.Draft7Validator.check_schema(schema)
        return jsonschema.Draft7Validator(schema)

    def inlined(self, schema):
        """The schema with all that it refers to in its place."""
        if isinstance(schema, list):
            return [self.inlined(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        if '$ref' in schema:
            return self.inlined(self.schemas[schema['$ref'].rsplit('/', 1)[1]])
        return {key: self.inlined(value) for key, value in schema.items()}

    def route(self, segments):
        """The path of these segments, and the values of its parameters; None when there is none."""
        for parts, path in self.routes:
            if len(parts) == len(segments) and all(is_parameter(part) or part == segment
                                                   for part, segment in zip(parts, segments)):
                return path, [segment for part, segment in zip(parts, segments) if is_parameter(part)]
        return None


def is_parameter(part):
    return part.startswith('{')


def first_error(validator, value):
    """What is wrong with a value, in one line; None when nothing is."""
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is None:
        return None
    return '%s: %s' % ('.'.join(str(part) for part in error.absolute_path) or 'the body', error.message[:300])


def wrong_values(schema, strict):
    """Something wrong for each property that is not free to be anything."""
    for name, rule in schema.get('properties', {}).items():
        if rule:
            yield name, {'no': {'such': 'thing'}}
    if strict or schema.get('additionalProperties') is False:
        yield 'noSuchProperty', 1
    for name in schema.get('required', []):
        yield name, None


def refuses_what_is_wrong(name, validator, strict):
    for value in ([], 'text', 1):
        if validator.is_valid(value):
            raise SystemExit('%s: its schema accepts %r' % (name, value))
    for key, value in wrong_values(validator.schema, strict):
        missing = [k for k in validator.schema.get('required', []) if k != key]
        body = dict.fromkeys(missing, 'x')
        if value is not None:
            body[key] = value
        errors = [e for e in validator.iter_errors(body)
                  if key in e.absolute_path or repr(key) in e.message]
        if not errors:
            raise SystemExit('%s: its schema accepts a wrong "%s"' % (name, key))
