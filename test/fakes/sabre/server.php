<?php
/*
 * A sabre/dav server (Debian's php-sabre-dav) for php -S: see ../sabre.sh.
 *
 * User "tasks", password "secret"; everything is kept in one SQLite file in
 * the folder that the environment variable SABRE_DATA names.
 */
error_reporting(E_ALL & ~E_DEPRECATED & ~E_NOTICE & ~E_WARNING);
ini_set('display_errors', '0');
date_default_timezone_set('UTC');

require_once 'Sabre/autoload.php';

class OneUser extends \Sabre\DAV\Auth\Backend\AbstractBasic
{
    protected function validateUserPass($username, $password)
    {
        return $username === 'tasks' && $password === 'secret';
    }
}

function open_database($file)
{
    $is_new = !file_exists($file);
    $pdo = new PDO('sqlite:' . $file);
    $pdo->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $pdo->exec('PRAGMA synchronous = OFF');
    if ($is_new) {
        $sql = '/usr/share/doc/php-sabre-dav/examples/sql/sqlite.';
        $pdo->exec(file_get_contents($sql . 'calendars.sql'));
        $pdo->exec(file_get_contents($sql . 'principals.sql'));
        $pdo->exec("INSERT INTO principals (uri, displayname) VALUES ('principals/tasks', 'tasks')");
    }
    return $pdo;
}

$pdo = open_database(getenv('SABRE_DATA') . '/sabre.sqlite');
$principals = new \Sabre\DAVACL\PrincipalBackend\PDO($pdo);
$calendars = new \Sabre\CalDAV\Backend\PDO($pdo);

$server = new \Sabre\DAV\Server([
    new \Sabre\CalDAV\Principal\Collection($principals),
    new \Sabre\CalDAV\CalendarRootNode($principals, $calendars),
]);
$server->setBaseUri('/');
$server->addPlugin(new \Sabre\DAV\Auth\Plugin(new OneUser(), 'sabre'));
$server->addPlugin(new \Sabre\DAVACL\Plugin());
$server->addPlugin(new \Sabre\CalDAV\Plugin());
$server->exec();
